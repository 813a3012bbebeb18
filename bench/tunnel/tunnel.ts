/**
 * Opens a tunnel between the two hosts, with the same program at both ends, configured and warmed
 * up; or the cable without a tunnel.
 */
import { writeFileSync } from 'node:fs';
import { formatKeyBase64 } from '#dist/base/key.js';
import { Device, PORT } from './contender-device.ts';
import type { Contender } from './contenders.ts';
import { makeIperf } from './iperf.ts';
import { makeKeyPair } from './keys.ts';
import type { Lab } from './lab.ts';
import { ping } from './ping.ts';

/**
 * Seconds of TCP before any measurement, the same for all contenders, so that code that is compiled
 * at run time is compiled before it is measured.
 */
const WARM_UP_S = 1;

export class Tunnel {
  readonly lab: Lab;
  readonly contender: Contender;
  /** The left and the right device; empty without a tunnel. */
  readonly devices: readonly Device[];
  /** The address at which the left host reaches the right one, and the reverse. */
  readonly right: string;
  readonly left: string;

  private constructor(lab: Lab, contender: Contender, devices: readonly Device[]) {
    this.lab = lab;
    this.contender = contender;
    this.devices = devices;
    const bare = devices.length === 0;
    this.left = bare ? lab.left.outer : lab.left.inner;
    this.right = bare ? lab.right.outer : lab.right.inner;
  }

  static async open(contender: Contender, lab: Lab): Promise<Tunnel> {
    if (contender.kind === 'bare') return new Tunnel(lab, contender, []);
    const devices: Device[] = [];
    try {
      for (const host of [lab.left, lab.right]) devices.push(await Device.start(contender, host));
      await configure(devices);
      const tunnel = new Tunnel(lab, contender, devices);
      await ping(lab.left.namespace, tunnel.right, { count: 5, interval: 0.2 });
      await makeIperf(tunnel).tcp({ seconds: WARM_UP_S });
      return tunnel;
    } catch (error) {
      for (const device of devices) await device.stop();
      throw error;
    }
  }

  /** The pids of the daemons; empty for the kernel and without a tunnel. */
  get pids(): number[] {
    return this.devices.flatMap(device => device.daemon?.pid ?? []);
  }

  async close(): Promise<void> {
    await Promise.all(this.devices.map(device => device.stop()));
  }
}

/** Configures two devices as each other's peer. */
async function configure(devices: readonly Device[]): Promise<void> {
  const keys = devices.map(makeKeyPair);
  for (const [i, device] of devices.entries()) {
    const other = devices[1 - i]!;
    const file = `/run/key${i}`;
    writeFileSync(file, `${formatKeyBase64(keys[i]!.privateKey)}\n`, { mode: 0o600 });
    const peer = ['peer', formatKeyBase64(keys[1 - i]!.publicKey), 'allowed-ips', `${other.host.inner}/32`];
    const endpoint = ['endpoint', `${other.host.outer}:${PORT}`];
    await device.wg('set', 'private-key', file, 'listen-port', String(PORT), ...peer, ...endpoint);
  }
  for (const device of devices) await device.up();
}
