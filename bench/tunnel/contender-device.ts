/**
 * Starts a contender: its WireGuard interface on a host, and its daemon if it has one. Configures
 * all contenders in the same way, with `wg`.
 */
import { connect } from 'node:net';
import type { Running } from './command.ts';
import { until } from './command.ts';
import type { Contender } from './contenders.ts';
import { type Host, TUNNEL_MTU } from './lab.ts';

/**
 * The listen port of every device. Each host has its own network namespace, so the ports never
 * clash.
 */
export const PORT = 51820;

export class Device {
  readonly host: Host;
  readonly name: string;
  /** undefined for the kernel. */
  readonly daemon: Running | undefined;

  private constructor(host: Host, name: string, daemon: Running | undefined) {
    this.host = host;
    this.name = name;
    this.daemon = daemon;
  }

  /** @param args additional arguments of the daemon */
  static async start(contender: Contender, host: Host, args: readonly string[] = []): Promise<Device> {
    // All namespaces share one folder of control sockets, so the name must be unique.
    const name = `wg-${host.namespace.name}`;
    if (contender.kind === 'kernel') {
      await host.namespace.ip(`link add ${name} type wireguard`);
      return new Device(host, name, undefined);
    }
    const daemon = host.namespace.start(contender.command(name, args), { env: contender.env });
    const device = new Device(host, name, daemon);
    try {
      await until(`the control socket of ${contender.name}`, () => device.#answers());
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return device;
  }

  /** Runs `wg COMMAND INTERFACE ARGUMENTS`. */
  wg(command: string, ...args: readonly string[]): Promise<string> {
    return this.host.namespace.run(['wg', command, this.name, ...args]);
  }

  /** Assigns the address and brings the interface up. */
  async up(): Promise<void> {
    await this.host.namespace.ip(
      `link set ${this.name} mtu ${TUNNEL_MTU} addrgenmode none`,
      `addr add ${this.host.inner}/24 dev ${this.name}`,
      `link set ${this.name} up`,
    );
  }

  async stop(): Promise<void> {
    if (this.daemon === undefined) await this.host.namespace.ip(`link del ${this.name}`);
    else await this.daemon.stop();
  }

  #answers(): Promise<boolean> {
    const ended = this.daemon?.outcome();
    if (ended) throw new Error(`${this.daemon?.argv.join(' ')} ended (${ended.code}): ${ended.stderr.slice(-300)}`);
    return new Promise(resolve => {
      const socket = connect(`/var/run/wireguard/${this.name}.sock`, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
}
