/**
 * A whole device, a DeviceLoop with its engine between a TUN device and UDP sockets, observed at
 * both ports: SplitPlan judges what it reads; what it sends is counted and must lie in the slab of
 * its batch.
 */
import { randomFillSync } from 'node:crypto';
import { ENDPOINT_FAMILY, ENDPOINT_SIZE } from '../../src/base/endpoint.ts';
import type { Family } from '../../src/base/family.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import type { PeerConfig } from '../../src/config/model.ts';
import type { DaemonBackend } from '../../src/daemon/backend.ts';
import { DeviceLoop } from '../../src/daemon/device-loop.ts';
import type { Lanes } from '../../src/io/lanes.ts';
import type { Clock, OpenUdp, Tun, TunStatus, Udp } from '../../src/io/ports.ts';
import {
  DATAGRAM_ERROR,
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  type DatagramBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
} from '../../src/packet/batch.ts';
import { MESSAGE_TRANSPORT } from '../../src/packet/message-type.ts';
import { SplitPlan } from '../../src/packet/segments.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { mostRanges } from '../../src/protocol/output.ts';

const KEEPALIVE = 32;
/** By outer family. Repeated here, so that a wrong number in the source is detected. */
const LARGEST: Readonly<Record<number, number>> = { 4: 65_507, 6: 65_527 };
/** The capacity of an engine's output, without the part reserved for handshakes. */
const OUTPUT = { bytes: (1 << 20) - (16 << 10), ranges: 1024 - 64 } as const;

export class WatchedDevice {
  readonly loop: DeviceLoop;
  readonly publicKey: Uint8Array;
  readonly tun: Tun;
  /**
   * Packets read from the TUN device and their expected fate: messages to send, and packets counted
   * as malformed or oversized.
   */
  readonly expected = { read: 0, messages: 0, malformedOutbound: 0, oversized: 0 };
  /** Messages with a packet that reached the sockets, and how many of them were refused. */
  readonly seen = { messages: 0, refused: 0 };
  readonly faults: string[] = [];
  /** Batches that came back from lanes. */
  lent = 0;
  #udp: Udp | undefined;
  gone = false;
  readonly #privateKey = randomFillSync(new Uint8Array(32));
  readonly #plan = new SplitPlan();
  readonly #family: Family;
  #mtu = 0;

  /** @param threads of lanes, which then do all the work; 1: none */
  constructor(backend: DaemonBackend, tun: Tun, openUdp: OpenUdp, clock: Clock, family: Family, threads = 1) {
    const { crypto, cipher } = backend;
    this.#family = family;
    this.publicKey = crypto.publicKey(this.#privateKey);
    this.tun = this.#watchTun(tun);
    this.loop = new DeviceLoop({
      engine: new Engine({ crypto, cipher, random: bytes => randomFillSync(bytes), wall: clock.wall }),
      tun: this.tun,
      openUdp: (port, mark) => this.#watchUdp(openUdp(port, mark)),
      clock,
      shareAlways: true,
      makeLanes: keys => {
        const lanes = backend.makeLanes?.(keys, threads);
        return lanes && this.#watchLanes(lanes, tun);
      },
      log: { verbose: () => {}, error: message => this.faults.push(message) },
      onGone: () => {
        this.gone = true;
      },
    });
    this.loop.start();
  }

  /** Makes the other device the peer for all addresses. */
  meet(listenPort: number, other: WatchedDevice, endpoint?: Uint8Array): void {
    const allowedIps = ['0.0.0.0/0', '::/0'].map(text => ({ prefix: parsePrefix(text)! }));
    const peer: PeerConfig = { publicKey: other.publicKey, allowedIps, ...(endpoint && { endpoint }) };
    this.loop.configure({ privateKey: this.#privateKey, listenPort, peers: [peer] });
  }

  /** Sums counters by name; unknown names count as 0. */
  sum(...names: string[]): number {
    const counters = this.loop.counters();
    return names.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
  }

  #watchTun(tun: Tun): Tun {
    return {
      offloads: tun.offloads,
      read: (batch, most) => {
        const count = tun.read(batch, most);
        for (let i = 0; i < count; i++) this.#judge(batch, i);
        return count;
      },
      write: batch => tun.write(batch),
      status: () => {
        const status: TunStatus | undefined = tun.status();
        this.#mtu = status?.mtu ?? 0;
        return status;
      },
      onReadable: callback => tun.onReadable(callback),
      onStatus: callback => tun.onStatus(callback),
      counters: () => tun.counters(),
      close: () => tun.close(),
    };
  }

  #judge({ slab, desc }: PacketBatch, i: number): void {
    const plan = this.#plan;
    const at = i * PACKET_STRIDE;
    const segments = plan.read(slab, desc[at + PACKET_OFFSET]!, desc[at + PACKET_LENGTH]!);
    const message = plan.messageSize(this.#mtu);
    const fits =
      message <= LARGEST[this.#family]! &&
      plan.sealedSize(this.#mtu) <= OUTPUT.bytes &&
      mostRanges(segments, message) <= OUTPUT.ranges;
    this.expected.read++;
    if (segments === 0) this.expected.malformedOutbound++;
    else if (fits) this.expected.messages += segments;
    else this.expected.oversized++;
  }

  /** Looks at what lanes have sent, and passes them the devices that are not watched. */
  #watchLanes(lanes: Lanes, tun: Tun): Lanes {
    const lent: DatagramBatch[] = [];
    return {
      threads: lanes.threads,
      seal: (_udp, input, jobs, count, output) => {
        const isTaken = lanes.seal(this.#udp, input, jobs, count, output);
        if (isTaken) lent.push(output);
        return isTaken;
      },
      open: (slab, jobs, count) => lanes.open(slab, jobs, count),
      write: (_tun, batch) => lanes.write(tun, batch),
      help: () => lanes.help(),
      done: () => {
        const done = lanes.done();
        this.lent += done.sealed + done.opened + done.written;
        for (const batch of lent.splice(0, done.sealed)) {
          this.#look(batch);
          this.#lookForErrors(batch);
        }
        return done;
      },
      next: () => lanes.next(),
      watch: () => lanes.watch(),
      onOpened: callback => lanes.onOpened(callback),
      times: out => lanes.times(out),
      close: () => lanes.close(),
    };
  }

  #watchUdp(udp: Udp): Udp {
    this.#udp = udp;
    return {
      port: udp.port,
      offloads: udp.offloads,
      receive: (batch, most) => udp.receive(batch, most),
      receiveHandshakes: batch => udp.receiveHandshakes(batch),
      send: batch => {
        this.#look(batch);
        const errors = udp.send(batch);
        this.#lookForErrors(batch);
        return errors;
      },
      setMark: mark => udp.setMark(mark),
      onReadable: callback => udp.onReadable(callback),
      onHandshakes: callback => udp.onHandshakes(callback),
      onRoutesChanged: callback => udp.onRoutesChanged(callback),
      counters: () => udp.counters(),
      close: () => udp.close(),
    };
  }

  #look(batch: DatagramBatch): void {
    const { slab, desc, endpoints, count } = batch;
    if (count * DATAGRAM_STRIDE > desc.length || count * ENDPOINT_SIZE > endpoints.length)
      this.faults.push(`${count} datagrams, more than descriptors`);
    for (let i = 0; i < count; i++) {
      const at = i * DATAGRAM_STRIDE;
      const [offset, length] = [desc[at + DATAGRAM_OFFSET]!, desc[at + DATAGRAM_LENGTH]!];
      const segment = desc[at + DATAGRAM_SEGMENT]! || length;
      const largest = LARGEST[endpoints[i * ENDPOINT_SIZE + ENDPOINT_FAMILY]!] ?? 0;
      if (
        offset < 0 ||
        length <= 0 ||
        segment <= 0 ||
        offset + length > slab.length ||
        Math.min(segment, length) > largest
      )
        this.faults.push(`a datagram at ${offset}, ${length} bytes in pieces of ${segment}`);
      for (let done = 0; done < length; done += segment)
        if (slab[offset + done] === MESSAGE_TRANSPORT && Math.min(segment, length - done) > KEEPALIVE)
          this.seen.messages++;
    }
  }

  #lookForErrors({ desc, count }: DatagramBatch): void {
    for (let i = 0; i < count; i++) if (desc[i * DATAGRAM_STRIDE + DATAGRAM_ERROR] !== 0) this.seen.refused++;
  }
}
