/** The traffic of the soak: numbered datagrams in both directions, TCP at a fixed rate, pings. */
import { fileURLToPath } from 'node:url';
import { type Running, untilReady } from '../tunnel/command.ts';
import type { Host, Lab } from '../tunnel/lab.ts';
import type { NumberedLine } from './numbered.ts';
import type { Phase, Phases } from './phases.ts';

const NUMBERED = fileURLToPath(new URL('numbered.js', import.meta.url));
const UDP_PORT = 7000;
/** Far below what the tunnel carries: no queue may overflow, because every loss counts. */
const TCP_RATE = '20M';
const PING_S = '0.2';
/** Until the last packets are there. */
const TAIL_MS = 3000;
const HANG_MS = 60_000;

export interface Losses {
  sent: number;
  received: number;
  doubled: number;
  readonly lost: Map<Phase, number>;
  /** The longest time without a datagram, in milliseconds. */
  readonly pauses: Map<Phase, number>;
}

interface Stream {
  readonly source: Running;
  readonly sink: Running;
}

export class Traffic {
  readonly #lab: Lab;
  readonly #streams: readonly Stream[];
  readonly #pings: readonly Running[];
  readonly #servers: Running;
  readonly #client: Running;

  private constructor(lab: Lab, streams: readonly Stream[], seconds: number) {
    this.#lab = lab;
    this.#streams = streams;
    this.#pings = [ping(lab.left, lab.right, 56), ping(lab.right, lab.left, 1400)];
    this.#servers = lab.right.namespace.start(['iperf3', '-s', '-1', '-B', lab.right.inner]);
    const client = ['iperf3', '-c', lab.right.inner, '-b', TCP_RATE, '-t', String(Math.ceil(seconds) + 3600), '-J'];
    this.#client = lab.left.namespace.start(['sh', '-c', `sleep 2; exec ${client.join(' ')}`]);
  }

  static async start(lab: Lab, rate: number, seconds: number): Promise<Traffic> {
    const streams = [await stream(lab.left, lab.right, rate), await stream(lab.right, lab.left, rate)];
    return new Traffic(lab, streams, seconds);
  }

  /** Ends everything. @returns what the receivers saw, by phase */
  async stop(phases: Phases): Promise<{ udp: Losses; pings: string[]; tcp: string }> {
    const udp: Losses = { sent: 0, received: 0, doubled: 0, lost: new Map(), pauses: new Map() };
    for (const { source, sink } of this.#streams) {
      source.endInput();
      udp.sent += Number((await source.ended).stdout.trim());
      await new Promise(resolve => setTimeout(resolve, TAIL_MS));
      sink.endInput();
      for (const line of (await sink.ended).stdout.split('\n'))
        if (line.startsWith('{')) count(udp, JSON.parse(line) as NumberedLine, phases);
    }
    // numbers after the last one that arrived are in no gap
    const known = udp.received + [...udp.lost.values()].reduce((sum, one) => sum + one, 0);
    if (udp.sent > known) add(udp.lost, 'quiet', udp.sent - known);
    const pings: string[] = [];
    for (const running of this.#pings) {
      process.kill(running.pid, 'SIGINT');
      pings.push(/\d+ packets transmitted.*/.exec((await running.ended).stdout)?.[0] ?? 'no answer at all');
    }
    process.kill(this.#client.pid, 'SIGINT');
    const { stdout } = await this.#client.ended;
    await this.#servers.stop();
    return { udp, pings, tcp: describeTcp(stdout) };
  }

  /** Returns datagrams that the receivers' own sockets dropped: those are not the tunnel's. */
  async droppedBySockets(): Promise<number> {
    let dropped = 0;
    for (const { namespace } of [this.#lab.left, this.#lab.right]) {
      const counters = await namespace.run(['nstat', '-asz', 'UdpRcvbufErrors']);
      dropped += Number(/UdpRcvbufErrors\s+(\d+)/.exec(counters)?.[1] ?? 0);
    }
    return dropped;
  }
}

async function stream(from: Host, to: Host, rate: number): Promise<Stream> {
  const args = [NUMBERED, 'receive', to.inner, String(UDP_PORT)];
  const sink = to.namespace.start([process.execPath, ...args], { keepInput: true });
  await untilReady('the receiver', sink, HANG_MS);
  const send = [NUMBERED, 'send', to.inner, String(UDP_PORT), String(rate)];
  return { sink, source: from.namespace.start([process.execPath, ...send], { keepInput: true }) };
}

function ping(from: Host, to: Host, size: number): Running {
  return from.namespace.start(['ping', '-n', '-q', '-i', PING_S, '-s', String(size), to.inner]);
}

function count(udp: Losses, line: NumberedLine, phases: Phases): void {
  if (line.kind === 'total') udp.received += line.received;
  else if (line.kind === 'doubled') udp.doubled++;
  else if (line.kind === 'lost') add(udp.lost, phases.of(line.from, line.to), line.count);
  else {
    const phase = phases.of(line.at - line.length, line.at);
    udp.pauses.set(phase, Math.max(udp.pauses.get(phase) ?? 0, line.length));
  }
}

function add(map: Map<Phase, number>, phase: Phase, more: number): void {
  map.set(phase, (map.get(phase) ?? 0) + more);
}

function describeTcp(json: string): string {
  try {
    const { end } = JSON.parse(json) as { end: { sum_sent: { bytes: number; retransmits: number } } };
    return `${(end.sum_sent.bytes / 1e6).toFixed(1)} MB sent, ${end.sum_sent.retransmits} segments retransmitted`;
  } catch {
    return 'no report: the connection broke';
  }
}
