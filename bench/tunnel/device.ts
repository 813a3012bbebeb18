/** A WireGuard interface of a contender on a host, with its daemon where it has one. Configured with `wg`, which treats all alike. */
import { connect } from 'node:net';
import type { Running } from './command.ts';
import { until } from './command.ts';
import type { Contender } from './contenders.ts';
import { type Host, TUNNEL_MTU } from './lab.ts';

/** Every device listens here: each host has its own ports. */
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

  /** @param args more for the daemon's command line */
  static async start(contender: Contender, host: Host, args: readonly string[] = []): Promise<Device> {
    // control sockets lie in one folder, whatever the namespace
    const name = `wg-${host.place.name}`;
    if (contender.kind === 'kernel') {
      await host.place.ip(`link add ${name} type wireguard`);
      return new Device(host, name, undefined);
    }
    const daemon = host.place.start(contender.command(name, args), { env: contender.env });
    const device = new Device(host, name, daemon);
    try {
      await until(`the control socket of ${contender.name}`, () => device.#answers());
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return device;
  }

  /** `wg COMMAND INTERFACE ARGUMENTS`. */
  wg(command: string, ...args: readonly string[]): Promise<string> {
    return this.host.place.run(['wg', command, this.name, ...args]);
  }

  /** Gives it its address and takes it up. */
  async up(): Promise<void> {
    await this.host.place.ip(
      `link set ${this.name} mtu ${TUNNEL_MTU} addrgenmode none`,
      `addr add ${this.host.inner}/24 dev ${this.name}`,
      `link set ${this.name} up`,
    );
  }

  async stop(): Promise<void> {
    if (this.daemon === undefined) await this.host.place.ip(`link del ${this.name}`);
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
