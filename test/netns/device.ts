/**
 * A WireGuard interface in a namespace, run by this program, by wireguard-go, by another program
 * with wireguard-go's command line, or by the kernel; configured with `wg`, which works the same
 * for all.
 */
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Running, run, until } from './command.ts';
import type { Lab, Namespace } from './lab.ts';

/**
 * `ours`, `ours-pure` (no native data path), `kernel`, or a program on the PATH or with a path,
 * such as `wireguard-go`.
 */
export type Program = string;

/**
 * The program under test: ours, or the one that WG_TEST_PROGRAM names, to try the tests themselves.
 */
export const PROGRAM: Program = process.env['WG_TEST_PROGRAM'] ?? 'ours';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const SOCKET_DIRECTORY = '/var/run/wireguard';

interface PeerSettings {
  readonly publicKey: string;
  readonly presharedKey?: string;
  readonly endpoint?: string;
  readonly allowedIps?: readonly string[];
  readonly keepalive?: number;
  readonly remove?: boolean;
}

export interface Settings {
  readonly privateKey?: string;
  readonly listenPort?: number;
  readonly fwmark?: number;
  readonly peers?: readonly PeerSettings[];
}

export interface PeerState {
  readonly publicKey: string;
  readonly endpoint: string;
  readonly allowedIps: readonly string[];
  readonly latestHandshake: number;
  readonly rx: number;
  readonly tx: number;
  readonly keepalive: string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments before the interface name. */
  readonly args?: readonly string[];
  readonly name?: string;
}

/** Returns the command line of a program, without arguments. */
export function commandOf(program: Program): string[] {
  if (program === 'ours') return [process.execPath, join(ROOT, 'dist/program/wireguard-ts.cjs')];
  if (program === 'ours-pure') return [...commandOf('ours'), '--backend=pure'];
  return [program];
}

export class Device {
  readonly name: string;
  readonly program: Program;
  /** The process in the foreground; undefined for the kernel. */
  readonly process: Running | undefined;
  readonly #lab: Lab;
  #namespace: Namespace;

  constructor(lab: Lab, namespace: Namespace, name: string, program: Program, running: Running | undefined) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.name = name;
    this.program = program;
    this.process = running;
  }

  /** The interface's namespace. The sockets stay where the program was started. */
  get namespace(): Namespace {
    return this.#namespace;
  }

  get socket(): string {
    return join(SOCKET_DIRECTORY, `${this.name}.sock`);
  }

  /** Runs `wg` with the arguments and returns its output without the last line break. */
  async wg(...args: string[]): Promise<string> {
    const { stdout } = await this.#namespace.run(['wg', ...args]);
    return stdout.trimEnd();
  }

  /** Returns the output of `wg show NAME what`. */
  show(what: string): Promise<string> {
    return this.wg('show', this.name, what);
  }

  /** Runs `wg set`, with keys passed in files. */
  async set(settings: Settings): Promise<void> {
    const args: string[] = [];
    if (settings.privateKey !== undefined) args.push('private-key', this.#lab.file(settings.privateKey));
    if (settings.listenPort !== undefined) args.push('listen-port', String(settings.listenPort));
    if (settings.fwmark !== undefined) args.push('fwmark', String(settings.fwmark));
    for (const peer of settings.peers ?? []) {
      args.push('peer', peer.publicKey);
      if (peer.remove === true) args.push('remove');
      if (peer.presharedKey !== undefined) args.push('preshared-key', this.#lab.file(peer.presharedKey));
      if (peer.endpoint !== undefined) args.push('endpoint', peer.endpoint);
      if (peer.keepalive !== undefined) args.push('persistent-keepalive', String(peer.keepalive));
      if (peer.allowedIps !== undefined) args.push('allowed-ips', peer.allowedIps.join(','));
    }
    await this.wg('set', this.name, ...args);
  }

  /** Returns the peers from `wg show NAME dump`. */
  async peers(): Promise<PeerState[]> {
    const [, ...lines] = (await this.show('dump')).split('\n');
    return lines.map(line => {
      const [publicKey, , endpoint, allowedIps, latestHandshake, rx, tx, keepalive] = line.split('\t') as string[];
      return {
        publicKey: publicKey!,
        endpoint: endpoint!,
        allowedIps: allowedIps === '(none)' ? [] : allowedIps!.split(','),
        latestHandshake: Number(latestHandshake),
        rx: Number(rx),
        tx: Number(tx),
        keepalive: keepalive!,
      };
    });
  }

  /** Returns the state of one peer: of the only one without a key. */
  async peer(publicKey?: string): Promise<PeerState> {
    const peers = await this.peers();
    const found = publicKey === undefined ? peers[0] : peers.find(peer => peer.publicKey === publicKey);
    if (found === undefined) throw new Error(`${this.name} has no such peer: ${publicKey ?? '(any)'}`);
    return found;
  }

  /**
   * Assigns the addresses (CIDR), brings the interface up, and waits until the program listens. On
   * a busy machine it would notice so late that a first packet would meet a closed port, and the
   * next attempt is five seconds away.
   */
  async up(addresses: readonly string[], mtu?: number): Promise<void> {
    await this.#namespace.ip(
      ...addresses.map(address => `addr add ${address} dev ${this.name}${address.includes(':') ? ' nodad' : ''}`),
      ...(mtu === undefined ? [] : [`link set ${this.name} mtu ${mtu}`]),
      `link set ${this.name} up`,
    );
    await until(`${this.name} to listen`, () => this.#listens());
  }

  /**
   * The kernel listens before `ip` returns. A program's sockets are where it was started, wherever
   * the interface is now.
   */
  async #listens(): Promise<boolean> {
    if (this.process === undefined) return true;
    const port = Number(await this.show('listen-port'));
    const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
    const tables = ['udp', 'udp6'].map(table => readFileSync(`/proc/${this.process?.pid}/net/${table}`, 'latin1'));
    return port !== 0 && tables.some(table => table.includes(local));
  }

  /** Moves the interface to another namespace; the program stays where it is. */
  async moveTo(namespace: Namespace): Promise<void> {
    await this.#namespace.ip(`link set ${this.name} netns ${namespace.name}`);
    this.#namespace = namespace;
  }

  async mtu(mtu: number): Promise<void> {
    await this.#namespace.ip(`link set ${this.name} mtu ${mtu}`);
  }

  /** Returns the resident bytes of the process. */
  async residentBytes(): Promise<number> {
    const { stdout } = await run(['ps', '-o', 'rss=', '-p', String(this.process?.pid ?? 0)]);
    return Number(stdout) * 1024;
  }

  /** Ends the program, and the interface with it. */
  async stop(): Promise<void> {
    if (this.process === undefined)
      await run(this.#namespace.inside(['ip', 'link', 'del', this.name]), { mayFail: true });
    else await this.process.stop();
  }
}

/** Starts a program in the foreground inside a namespace and waits until it can be configured. */
export async function startDevice(
  lab: Lab,
  namespace: Namespace,
  program: Program = PROGRAM,
  options: StartOptions = {},
): Promise<Device> {
  const name = options.name ?? lab.interfaceName();
  if (program === 'kernel') {
    await namespace.ip(`link add ${name} type wireguard`);
    return new Device(lab, namespace, name, program, undefined);
  }
  lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
  const running = namespace.start([...commandOf(program), ...(options.args ?? []), '-f', name], {
    env: { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', ...options.env },
  });
  const device = new Device(lab, namespace, name, program, running);
  await until(`the socket ${device.socket}`, () => answers(device.socket, running));
  return device;
}

/** Returns whether the control socket accepts connections. Rejects when the program has ended. */
async function answers(socket: string, running: Running): Promise<boolean> {
  const ended = running.result();
  if (ended !== undefined) {
    throw new Error(
      `${running.argv.join(' ')} ended (${ended.code ?? ended.signal}) before it was ready:\n${running.output()}`,
    );
  }
  if (!existsSync(socket)) return false;
  return new Promise(resolve => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}
