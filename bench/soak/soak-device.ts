/** A device of the soak, whichever process runs it: started, handed over, killed and adopted. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatKeyBase64 } from '#dist/base/key.js';
import { type Running, run, sleep, until } from '../tunnel/command.ts';
import type { KeyPair } from '../tunnel/keys.ts';
import { type Host, TUNNEL_MTU } from '../tunnel/lab.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/wireguard-ts', import.meta.url));
const PORT = 51820;
/** Bounds what hangs, on the busiest machine. */
const HANG_MS = 120_000;
/** The protocol's least time between two initiations to one peer. */
const REKEY_TIMEOUT_S = 5;

export interface Usage {
  readonly at: number;
  readonly pid: number;
  /** KiB: all resident memory, and that of the heaps (anonymous). */
  readonly resident: number;
  readonly anonymous: number;
  readonly descriptors: number;
}

export class SoakDevice {
  readonly host: Host;
  readonly name: string;
  readonly #keys: KeyPair;
  readonly #conf: string;
  #running: Running;
  /** What each hand-over took without a process, in milliseconds, as the log says. */
  readonly pauses: number[] = [];

  private constructor(host: Host, keys: KeyPair, name: string, running: Running) {
    this.host = host;
    this.name = name;
    this.#keys = keys;
    this.#conf = `/run/${name}.conf`;
    this.#running = running;
  }

  /** @param flags of Node, for the first process */
  static async start(host: Host, keys: KeyPair, flags: readonly string[] = []): Promise<SoakDevice> {
    const name = `wg-${host.namespace.name}`;
    const device = new SoakDevice(host, keys, name, launch(host, name, ['--persist'], flags));
    await device.#answering();
    return device;
  }

  /** Configures the device and its only real peer, brings it up and gives it its address. */
  async configure(peer: KeyPair, other: Host): Promise<void> {
    const conf = [
      '[Interface]',
      `PrivateKey = ${formatKeyBase64(this.#keys.privateKey)}`,
      `ListenPort = ${PORT}`,
      '[Peer]',
      `PublicKey = ${formatKeyBase64(peer.publicKey)}`,
      `Endpoint = ${other.outer}:${PORT}`,
      `AllowedIPs = ${other.inner}/32`,
    ];
    writeFileSync(this.#conf, `${conf.join('\n')}\n`, { mode: 0o600 });
    await this.#applyConf();
    await this.host.namespace.ip(
      `link set ${this.name} mtu ${TUNNEL_MTU} addrgenmode none`,
      `addr add ${this.host.inner}/24 dev ${this.name}`,
      `link set ${this.name} up`,
    );
  }

  /** Another process takes the device over. */
  async handOver(): Promise<void> {
    const old = this.#running;
    const next = launch(this.host, this.name, ['--persist', '--take-over']);
    await until('the hand-over', () => isOver(next), HANG_MS);
    const ended = await old.ended;
    if (ended.code !== 0) throw new Error(`the old process ended with ${ended.code}: ${ended.stderr.slice(-300)}`);
    this.pauses.push(Number(/ after ([\d.]+) ms without one/.exec(output(next))?.[1]));
    this.#running = next;
  }

  /** Kills the process, starts another one that adopts the link, and configures it. */
  async kill(): Promise<void> {
    process.kill(this.#running.pid, 'SIGKILL');
    await this.#running.ended;
    this.#running = launch(this.host, this.name, ['--persist']);
    await this.#answering();
    await this.#applyConf();
  }

  /** Begins a new session at once, and waits until it is there. */
  async initiate(peer: KeyPair): Promise<void> {
    // a request within REKEY_TIMEOUT of another initiation, such as that of a renewal, adds none;
    // times of handshakes are shown in seconds
    for (;;) {
      const shown = (await this.wg('show', 'latest-handshakes')).trim().split('\n');
      const latest = Math.max(...shown.map(line => Number(line.split('\t')[1])));
      if (Date.now() / 1000 - latest > REKEY_TIMEOUT_S + 1) break;
      await sleep(500);
    }
    const before = await this.wg('show', 'latest-handshakes');
    const key = Buffer.from(peer.publicKey).toString('hex');
    const request = `set=1\npublic_key=${key}\nupdate_only=true\ninitiate_handshake=true\n\n`;
    const answer = await run(['socat', '-t', '10', '-', `UNIX-CONNECT:/var/run/wireguard/${this.name}.sock`], {
      input: request,
    });
    if (!answer.includes('errno=0')) throw new Error(`initiate_handshake: ${answer.trim()}`);
    await until('the new session', async () => (await this.wg('show', 'latest-handshakes')) !== before, HANG_MS);
  }

  wg(command: string, ...args: readonly string[]): Promise<string> {
    return this.host.namespace.run(['wg', command, this.name, ...args]);
  }

  usage(): Usage {
    const { pid } = this.#running;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
    return {
      at: Date.now(),
      pid,
      resident: field('VmRSS'),
      anonymous: field('RssAnon'),
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
    };
  }

  /** @throws Error with the end of the log if the process ended by itself */
  check(): void {
    const ended = this.#running.outcome();
    if (ended) throw new Error(`${this.name} ended by itself (${ended.code}): ${ended.stderr.slice(-500)}`);
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }

  async #applyConf(): Promise<void> {
    await this.wg('setconf', this.#conf);
  }

  async #answering(): Promise<void> {
    const show = (): Promise<boolean> =>
      this.wg('show').then(
        () => true,
        () => false,
      );
    await until(
      `the control socket of ${this.name}`,
      () => {
        this.check();
        return show();
      },
      HANG_MS,
    );
  }
}

function launch(host: Host, name: string, args: readonly string[], flags: readonly string[] = []): Running {
  const env = { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', LOG_LEVEL: 'verbose' };
  return host.namespace.start([process.execPath, ...flags, PROGRAM, '-f', ...args, name], { env });
}

function isOver(next: Running): boolean {
  const ended = next.outcome();
  if (ended) throw new Error(`the new process ended with ${ended.code}: ${ended.stderr.slice(-300)}`);
  return / took over from process /.test(output(next));
}

const output = (running: Running): string => running.stdout() + running.stderr();
