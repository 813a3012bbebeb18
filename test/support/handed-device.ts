/**
 * A device over ports in memory that can be handed over: its TUN and its sockets have descriptors,
 * of /dev/null. It has one peer, which answers.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { numericZones } from '../../src/config/zones.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import type { DaemonBackend } from '../../src/daemon/backend.ts';
import { DeviceLoop } from '../../src/daemon/device-loop.ts';
import { RunningDevice } from '../../src/daemon/given-device.ts';
import type { KeptLink } from '../../src/daemon/kept-link.ts';
import { UapiServer } from '../../src/daemon/uapi-server.ts';
import { MemoryTun } from '../../src/io/memory/tun.ts';
import { MemoryNetwork } from '../../src/io/memory/udp.ts';
import type { Clock, GivenTun, Udp } from '../../src/io/ports.ts';
import type { DeviceOptions } from '../../src/protocol/device.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { type Random, seeded } from './random.ts';
import { udpPacket, udpPayload } from './udp-packet.ts';

const [OWN, PEER] = [parseAddress('192.0.2.1')!, parseAddress('192.0.2.2')!];
const [OWN_PORT, PEER_PORT, INNER_PORT] = [1, 2, 7777];
const [OWN_INNER, PEER_INNER] = ['10.0.0.1', '10.0.0.2'];
const UP = { up: true, mtu: 1420, name: 'wg' } as const;
const QUIET = { verbose: () => {}, error: () => {} };
/** More turns of the event loop than anything here takes. */
const PATIENT_TURNS = 2000;
/** Milliseconds after which an engine repeats an initiation, and some more. */
const RETRY_MS = 6000;

/** Waits for one turn of the event loop, in which every descriptor is polled. */
export const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve));

/** A TUN in memory with a descriptor, which it owns. */
class HandedTun extends MemoryTun {
  readonly #given: GivenTun;

  constructor(given: GivenTun = { descriptor: openSync('/dev/null', 'r'), kept: Int32Array.of(1, 1, 7, 1420) }) {
    super(UP);
    this.#given = given;
  }

  given(): GivenTun {
    return this.#given;
  }

  override close(): void {
    if (this.status()) closeSync(this.#given.descriptor);
    super.close();
  }
}

/** Gives sockets in memory descriptors, which they then own. */
function handedUdp(udp: Udp, descriptors: Int32Array): Udp {
  const open = [...descriptors].filter(each => each >= 0);
  const close = udp.close.bind(udp);
  return Object.assign(udp, {
    given: () => descriptors,
    close: () => {
      for (const each of open.splice(0)) closeSync(each);
      close();
    },
  });
}

export interface HandedDeviceOptions {
  /** A folder for the control socket. */
  readonly folder: string;
  readonly random: Random;
}

export class HandedDevice {
  /** What a hand-over did with the device, in order. */
  readonly calls: string[] = [];
  readonly controlPath: string;
  readonly clock: Clock;
  readonly tun = new HandedTun();
  readonly loop: DeviceLoop;
  readonly #network = new MemoryNetwork();
  readonly #options: HandedDeviceOptions;
  readonly #peerTun = new MemoryTun(UP);
  readonly #peer: DeviceLoop;
  #server: UapiServer | undefined;
  #now = 1000;
  #pings = 0;

  constructor(options: HandedDeviceOptions) {
    this.#options = options;
    this.controlPath = join(options.folder, 'wg.sock');
    this.clock = { now: () => (this.#now += 0.001), wall: () => BigInt(Math.floor(this.#now * 1e6)) };
    const { random } = options;
    const [own, peer] = [random.bytes(32), random.bytes(32)];
    this.loop = this.#makeLoop(this.tun, port => this.#openUdp(port));
    this.#peer = this.#makeLoop(this.#peerTun, port => this.#network.open([PEER], port));
    this.loop.start();
    this.#peer.start();
    const every = [{ prefix: parsePrefix('0.0.0.0/0')! }];
    this.loop.configure({
      privateKey: own,
      listenPort: OWN_PORT,
      peers: [{ publicKey: opensslCrypto.publicKey(peer), endpoint: makeEndpoint(PEER, PEER_PORT), allowedIps: every }],
    });
    this.#peer.configure({
      privateKey: peer,
      listenPort: PEER_PORT,
      peers: [{ publicKey: opensslCrypto.publicKey(own), endpoint: makeEndpoint(OWN, OWN_PORT), allowedIps: every }],
    });
  }

  /** Options for an engine of its own. */
  engineOptions(): DeviceOptions {
    const random = seeded(this.#options.random.below(2 ** 32));
    const cipher = new TwinCipher(opensslPacketAead);
    return { crypto: opensslCrypto, cipher, random: bytes => random.fill(bytes), wall: this.clock.wall };
  }

  /** Serves the control socket, and returns the device as a hand-over sees it. */
  async serve(): Promise<RunningDevice> {
    const { calls, controlPath, loop } = this;
    this.#server = await UapiServer.listen({
      path: controlPath,
      device: loop,
      zones: numericZones,
      onRefused: () => {},
      onUnlinked: () => calls.push('unlinked'),
    });
    const device = new RunningDevice({
      loop,
      link: { isOurs: true } as KeptLink,
      server: this.#server,
      now: this.clock.now,
      makeEngine: () => new Engine(this.engineOptions()),
      rehearse: () => {},
      onFinished: () => {},
    });
    for (const name of ['freeze', 'thaw', 'eraseKeys', 'restart', 'finish'] as const) {
      const call = device[name].bind(device) as (...args: unknown[]) => never;
      Object.assign(device, {
        [name]: (...args: unknown[]) => {
          calls.push(name);
          return call(...args);
        },
      });
    }
    return device;
  }

  /** Ports for a device that is taken over; each closes its descriptors with itself. */
  get adopt(): NonNullable<DaemonBackend['adopt']> {
    return {
      tun: given => new HandedTun(given),
      udp: descriptors => handedUdp(new MemoryNetwork().open([OWN], OWN_PORT), descriptors),
    };
  }

  /** Returns the settings as text. */
  get settings(): string {
    const { privateKey, listenPort, fwmark, peers } = this.loop.status();
    const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
    return JSON.stringify({
      privateKey: hex(privateKey),
      ...{ listenPort, fwmark },
      peers: peers.map(({ publicKey, presharedKey, allowedIps }) => [hex(publicKey), hex(presharedKey), allowedIps]),
    });
  }

  /** Opens sockets as the device's own. */
  openUdp(port: number): Udp {
    return handedUdp(new MemoryNetwork().open([OWN], port), Int32Array.of(-1, -1, -1, -1));
  }

  /**
   * Sends a packet from the peer to the device, and one back.
   * @param advance lets time pass, for engines that have to repeat an initiation
   * @throws Error if one does not arrive
   */
  async ping(advance: (ms: number) => void): Promise<void> {
    const text = `ping ${this.#pings++}`;
    for (const [from, to, source, target] of [
      [this.#peerTun, this.tun, PEER_INNER, OWN_INNER],
      [this.tun, this.#peerTun, OWN_INNER, PEER_INNER],
    ] as const) {
      to.written.length = 0;
      const hasArrived = () => to.written.some(packet => udpPayload(packet, target) === text);
      for (let attempt = 0; !hasArrived(); attempt++) {
        if (attempt === 20) throw new Error(`${text} from ${source} does not arrive`);
        if (attempt > 0) {
          this.#now += RETRY_MS;
          advance(RETRY_MS);
        }
        from.put(udpPacket(source, target, INNER_PORT, text));
        for (let turns = 0; turns < 30 && !hasArrived(); turns++) await turn();
      }
    }
  }

  /** Closes everything. The control socket stays if another process has it. */
  close(isGiven: boolean): void {
    if (isGiven) this.#server?.release();
    else this.#server?.close();
    this.loop.close();
    this.#peer.close();
  }

  #openUdp(port: number): Udp {
    const descriptors = Int32Array.of(openSync('/dev/null', 'r'), -1, -1, -1);
    return handedUdp(this.#network.open([OWN], port), descriptors);
  }

  #makeLoop(tun: MemoryTun, openUdp: (port: number) => Udp): DeviceLoop {
    const engine = new Engine(this.engineOptions());
    return new DeviceLoop({ engine, tun, openUdp, clock: this.clock, log: QUIET, onGone: () => {} });
  }
}

/** Waits until a condition holds. @throws Error if it never does */
export async function turnsUntil(what: string, condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns === PATIENT_TURNS) throw new Error(`${what}: not after ${turns} turns of the event loop`);
    await turn();
  }
}
