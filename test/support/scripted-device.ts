/** A device whose TUN and sockets return what a test lists, and record how they are read. */
import { randomFillSync } from 'node:crypto';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { DeviceLoop } from '../../src/daemon/device-loop.ts';
import type { Tun, Udp, Wake } from '../../src/io/ports.ts';
import { MAX_BATCH } from '../../src/packet/batch.ts';
import type { DeviceOptions } from '../../src/protocol/device.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';

interface Batch {
  readonly desc: Int32Array;
  count: number;
}

/**
 * The result of one call: `count` datagrams that the kernel joined (UDP_GRO) from segments of that
 * size; 0: not joined.
 */
export interface Train {
  readonly count: number;
  readonly length: number;
  readonly segment: number;
}

export function engineOptions(): DeviceOptions {
  const random = (bytes: Uint8Array) => void randomFillSync(bytes);
  return { crypto: opensslCrypto, cipher: new TwinCipher(opensslPacketAead), random, wall: () => 0n };
}

/** Makes a device whose ports return these lengths, one list per call, and nothing at the end. */
export function scriptedDevice(
  udpHas: readonly (readonly number[])[],
  tunHas: readonly (readonly number[])[],
  handshakesHave: readonly Train[] = [],
  engine = new Engine(engineOptions()),
) {
  const calls: string[] = [];
  const wake: Record<'tun' | 'udp' | 'handshakes', Wake> = { tun: () => {}, udp: () => {}, handshakes: () => {} };
  const trains = [...handshakesHave];
  const queues = { udp: [...udpHas], tun: [...tunHas] };
  const take = (name: 'udp' | 'tun', stride: number) => (batch: Batch, most?: number) => {
    calls.push(`${name} ${most === MAX_BATCH ? 'all' : most}`);
    const lengths = queues[name].shift() ?? [];
    for (const [i, length] of lengths.entries()) batch.desc.set([0, length], i * stride);
    batch.count = lengths.length;
    return lengths.length;
  };
  const none = () => ({});
  const status = { up: true, changed: () => {} };
  const common = { offloads: [], counters: none, close: () => {} };
  const tun: Tun = {
    ...common,
    read: take('tun', 2),
    write: () => 0,
    status: () => ({ up: status.up, mtu: 1420, name: 'test' }),
    onReadable: callback => {
      wake.tun = callback;
    },
    onStatus: callback => {
      status.changed = callback;
    },
  };
  const udp: Udp = {
    ...common,
    port: 51820,
    receive: take('udp', 5),
    receiveHandshakes: batch => {
      const { count, length, segment } = trains.shift() ?? { count: 0, length: 0, segment: 0 };
      if (count > 0) calls.push('handshakes');
      for (let i = 0; i < count; i++) batch.desc.set([0, length, segment], i * 5);
      batch.count = count;
      return count;
    },
    onHandshakes: callback => {
      wake.handshakes = callback;
    },
    send: () => 0,
    setMark: () => {},
    onReadable: callback => {
      wake.udp = callback;
    },
    onRoutesChanged: () => {},
  };
  const wall = () => 0n;
  const loop = new DeviceLoop({
    engine,
    tun,
    openUdp: () => udp,
    clock: { now: () => 1000, wall },
    log: { verbose: () => {}, error: () => {} },
    onGone: () => {},
  });
  loop.start();
  return { loop, calls, wake, tun, udp, status };
}
