/**
 * Traffic through a tunnel: ping, a TCP transfer with a checksum at both ends, iperf3, and single
 * UDP datagrams.
 */
import { join } from 'node:path';
import { HANG_MS } from '../support/patience.ts';
import { type Running, until } from './command.ts';
import { ROOT } from './device.ts';
import type { Namespace } from './lab.ts';

export interface PingOptions {
  readonly count?: number;
  /** Send the next as soon as an answer is there (`ping -f`); otherwise every 50 ms. */
  readonly flood?: boolean;
  /** Payload bytes; default 56. */
  readonly size?: number;
  /** Seconds to wait for each answer. */
  readonly wait?: number;
  readonly interval?: number;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; 0 when nothing came back. */
  readonly median: number;
  /** Whether the last requests alone have no answer. Never with `flood`, which lists no answers. */
  readonly isCutOff: boolean;
}

/** Pings and returns what came back. Does not reject without answers. */
export async function ping(from: Namespace, to: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 1, interval = 0.05 } = options;
  const flags = options.flood === true ? ['-f'] : ['-i', String(interval)];
  const { stdout, stderr } = await from.run(
    [
      'ping',
      '-n',
      '-c',
      String(count),
      '-W',
      String(options.wait ?? 1),
      ...flags,
      '-s',
      String(options.size ?? 56),
      to,
    ],
    { mayFail: true, timeout: HANG_MS + count * interval * 1000 },
  );
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  if (counts === null) throw new Error(`ping ${to}: ${stdout}${stderr}`);
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(match => Number(match[1])).sort((a, b) => a - b);
  const [sent, received] = [Number(counts[1]), Number(counts[2])];
  const last = Math.max(0, ...[...stdout.matchAll(/icmp_seq=(\d+) /g)].map(match => Number(match[1])));
  return { sent, received, median: times[times.length >> 1] ?? 0, isCutOff: received < sent && last === received };
}

/**
 * Pings and rejects unless every answer came. After its last request `ping` waits only for twice
 * the longest round trip so far, which is almost nothing, so on a busy machine the last answers may
 * be late without being lost: it then tries again. Of a flood, only the number of answers is known.
 */
export async function mustPing(from: Namespace, to: string, options: PingOptions = {}): Promise<PingResult> {
  const settings = { wait: 5, ...options };
  for (let attempt = 1; ; attempt++) {
    const result = await ping(from, to, settings);
    if (result.received === result.sent) return result;
    const mayBeLate = options.flood === true ? result.received === result.sent - 1 : result.isCutOff;
    if (!mayBeLate || attempt === ATTEMPTS)
      throw new Error(`ping ${to}: ${result.received} of ${result.sent} came back`);
  }
}

export interface Transfer {
  readonly sentDigest: string;
  readonly receivedDigest: string;
  readonly bytes: number;
  readonly seconds: number;
}

/** A peer that answers only the first requests fails in each of them. */
const ATTEMPTS = 4;

const TRANSFER = join(ROOT, 'scripts/transfer.mjs');

/** Sends pseudo-random bytes over one TCP connection; each end hashes them. */
export async function transfer(
  from: Namespace,
  to: Namespace,
  address: string,
  bytes: number,
  timeout = 120_000,
): Promise<Transfer> {
  const sink = to.start([process.execPath, TRANSFER, 'receive', address]);
  try {
    const port = await until('the receiver', () => /^port (\d+)$/m.exec(sink.stdout())?.[1]);
    const sender = await from.run([process.execPath, TRANSFER, 'send', address, port, String(bytes)], { timeout });
    const received = await sink.exited;
    const sent = JSON.parse(sender.stdout) as { digest: string; bytes: number };
    const arrived = JSON.parse(received.stdout.split('\n')[1] ?? 'null') as {
      digest: string;
      bytes: number;
      seconds: number;
    };
    return { sentDigest: sent.digest, receivedDigest: arrived.digest, bytes: arrived.bytes, seconds: arrived.seconds };
  } finally {
    await sink.stop();
  }
}

export interface IperfOptions {
  readonly seconds?: number;
  readonly udp?: boolean;
  readonly zeroCopy?: boolean;
  readonly parallel?: number;
  readonly reverse?: boolean;
  /** Bits per second; 0 means as many as possible. */
  readonly rate?: string;
}

/** Measures a transfer. @returns the bits per second that arrived */
export async function iperf(
  from: Namespace,
  to: Namespace,
  address: string,
  options: IperfOptions = {},
): Promise<number> {
  const server = to.start(['iperf3', '-s', '-1', '-B', address, '--forceflush']);
  try {
    await until('iperf3', () => server.stdout().includes('Server listening'));
    const flags = [
      ...(options.udp === true ? ['-u', '-b', options.rate ?? '0'] : []),
      ...(options.zeroCopy === true ? ['-Z'] : []),
      ...(options.parallel === undefined ? [] : ['-P', String(options.parallel)]),
      ...(options.reverse === true ? ['-R'] : []),
    ];
    const { stdout } = await from.run(['iperf3', '-c', address, '-J', '-t', String(options.seconds ?? 1), ...flags]);
    const { end } = JSON.parse(stdout) as IperfReport;
    if (options.udp !== true) return end.sum_received?.bits_per_second ?? 0;
    const sum = end.sum;
    return sum === undefined ? 0 : sum.bits_per_second * (1 - sum.lost_percent / 100);
  } finally {
    await server.stop();
  }
}

interface IperfReport {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: { readonly bits_per_second: number; readonly lost_percent: number };
  };
}

const PROBE = join(ROOT, 'test/netns/udp-probe.mjs');

/** A UDP socket that records the datagrams that it receives. */
export interface Listener {
  received(): string[];
  readonly running: Running;
}

export async function listenUdp(namespace: Namespace, address: string, port: number): Promise<Listener> {
  const running = namespace.start([process.execPath, PROBE, 'listen', address, String(port)]);
  await until('the UDP listener', () => running.stdout().includes('listening\n'));
  return { running, received: () => running.stdout().split('\n').slice(1, -1) };
}

/** Sends one UDP datagram with this text. */
export async function sendUdp(namespace: Namespace, address: string, port: number, text: string): Promise<void> {
  await namespace.run([process.execPath, PROBE, 'send', address, String(port), text]);
}
