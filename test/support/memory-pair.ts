/**
 * Two devices, whole but for the kernel: DeviceLoops over memory TUNs and a memory network, on a
 * clock that the test moves. Whatever is scheduled runs when the test says so.
 */
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { makePrefix } from '../../src/base/prefix.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { DeviceLoop } from '../../src/daemon/device-loop.ts';
import { MemoryTun } from '../../src/io/memory/tun.ts';
import { MemoryNetwork } from '../../src/io/memory/udp.ts';
import type { Wake } from '../../src/io/ports.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { makePacket } from '../sim/payload.ts';
import { LateLanes } from './late-lanes.ts';
import { type Random, seeded } from './random.ts';

const PORT = 51820;

export class MemoryMachine {
  readonly tun: MemoryTun;
  readonly loop: DeviceLoop;
  readonly logged: string[] = [];
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly index: number;
  readonly lanes: LateLanes | undefined;
  /** What this machine's clocks show beside boot time. */
  suspended = 0;
  stepped = 0;
  copies = 0;
  /** Wakes the device as the kernel does after a resume, or when the clock was set. */
  disturb: () => void = () => {};
  readonly #address: Uint8Array;

  /** @param hasLanes whether the device lends all its work, to lanes that are late at random */
  constructor(pair: MemoryPair, index: number, random: Random, hasLanes = false) {
    this.index = index;
    this.#address = Uint8Array.of(192, 0, 2, index + 1);
    this.tun = new MemoryTun({ up: true, mtu: 1420, name: 'test' }, wake => pair.schedule(wake));
    this.privateKey = random.bytes(32);
    this.publicKey = opensslCrypto.publicKey(this.privateKey);
    const wall = () => BigInt(Math.floor((1e9 + pair.now + this.stepped) * 1e6));
    const log = (text: string) => void this.logged.push(text);
    const cipher = new TwinCipher(opensslPacketAead);
    const late = seeded(random.below(2 ** 32));
    this.lanes = hasLanes ? new LateLanes(cipher, late, wake => pair.schedule(wake)) : undefined;
    this.loop = new DeviceLoop({
      shareAlways: true,
      makeLanes: () => this.lanes,
      engine: new Engine({
        crypto: opensslCrypto,
        cipher,
        random: bytes => random.fill(bytes),
        wall,
      }),
      tun: this.tun,
      openUdp: () => pair.network.open([this.#address], PORT),
      clock: {
        now: () => pair.now,
        wall,
        suspended: () => this.suspended,
        stepped: () => this.stepped,
        copies: () => this.copies,
        onDisturbed: callback => {
          this.disturb = callback;
          return () => {
            this.disturb = () => {};
          };
        },
      },
      log: { verbose: log, error: log },
      onGone: () => {},
    });
    this.loop.start();
    this.loop.configure({ privateKey: this.privateKey });
  }

  meet(other: MemoryMachine): void {
    const allowedIps = [{ prefix: makePrefix(Uint8Array.of(10, 0, 0, 0), 8) }];
    this.loop.configure({
      peers: [{ publicKey: other.publicKey, endpoint: makeEndpoint(other.#address, PORT), allowedIps }],
    });
  }

  get counters(): Record<string, number> {
    return this.loop.counters();
  }
}

export class MemoryPair {
  now = 1_000_000;
  readonly network: MemoryNetwork;
  readonly a: MemoryMachine;
  readonly b: MemoryMachine;
  /** The first byte (the type) of each datagram on the network, by sender. */
  readonly types = new Map<string, number[]>();
  readonly #due: Wake[] = [];
  #packets = 0;

  constructor(seed = 1, hasLanes = false) {
    this.network = new MemoryNetwork(wake => this.schedule(wake));
    this.network.filter = (bytes, from) => {
      const sender = from.startsWith('192.0.2.1:') ? 'a' : 'b';
      this.types.set(sender, [...(this.types.get(sender) ?? []), bytes[0]!]);
      return true;
    };
    const random = seeded(seed);
    this.a = new MemoryMachine(this, 0, random, hasLanes);
    this.b = new MemoryMachine(this, 1, random, hasLanes);
    this.a.meet(this.b);
    this.b.meet(this.a);
  }

  schedule(wake: Wake): void {
    this.#due.push(wake);
  }

  /** Runs all wake-ups that are due. Time stands still. */
  run(): void {
    for (let wake = this.#due.shift(); wake; wake = this.#due.shift()) wake();
  }

  /** Runs a few of the wake-ups that are due. */
  runSome(count: number): void {
    for (let i = 0; i < count; i++) this.#due.shift()?.();
  }

  /** Sends a packet and runs until all is quiet. @returns whether it arrived */
  carry(from: MemoryMachine, to: MemoryMachine): boolean {
    const before = to.tun.written.length;
    from.tun.put(makePacket(from.index, to.index, this.#packets++, 40, false));
    this.run();
    return to.tun.written.length > before;
  }

  /** Returns the types that a sender has put on the network since the last call. */
  taken(sender: 'a' | 'b'): number[] {
    return this.types.get(sender)?.splice(0) ?? [];
  }

  close(): void {
    this.a.loop.close();
    this.b.loop.close();
  }
}
