/**
 * The library embedded in a program: two devices, each a loop around an engine, without kernel,
 * root or addon.
 */
import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import {
  type Clock,
  DeviceLoop,
  Engine,
  MemoryNetwork,
  MemoryTun,
  makeEndpoint,
  nobleCrypto,
  noblePacketAead,
  opensslCrypto,
  opensslPacketAead,
  parseAddress,
  parsePrefix,
  TwinCipher,
} from '../../src/index.ts';
import { HANG_MS } from '../support/patience.ts';
import { udpPacket, udpPayload } from '../support/udp-packet.ts';

const loops: DeviceLoop[] = [];
afterEach(() => {
  for (const loop of loops.splice(0)) loop.close();
});

const clock: Clock = { now: () => performance.now(), wall: () => BigInt(Date.now()) * 1_000_000n };

test.each([
  ['noble', nobleCrypto, noblePacketAead],
  ['openssl', opensslCrypto, opensslPacketAead],
])(
  'two devices with %s exchange packets over a network in memory until the interface goes down',
  async (_name, crypto, aead) => {
    const network = new MemoryNetwork();
    const seen: number[] = [];
    network.filter = bytes => {
      seen.push(bytes[0]!);
      return true;
    };
    const [a, b] = ['192.0.2.1', '192.0.2.2'].map(address => {
      const engine = new Engine({
        crypto,
        cipher: new TwinCipher(aead),
        random: bytes => randomFillSync(bytes),
        wall: clock.wall,
      });
      const tun = new MemoryTun({ up: true, mtu: 1420, name: 'mem0' });
      const openUdp = (port: number) => network.open([parseAddress(address)!], port);
      const log = { verbose: () => {}, error: () => {} };
      const loop = new DeviceLoop({ engine, tun, openUdp, clock, log, onGone: () => {} });
      loops.push(loop);
      const privateKey = randomFillSync(new Uint8Array(32));
      return { loop, tun, address, privateKey, publicKey: crypto.publicKey(privateKey) };
    });
    for (const [self, other, inner] of [
      [a!, b!, '10.0.0.2/32'],
      [b!, a!, '10.0.0.1/32'],
    ] as const) {
      self.loop.start();
      self.loop.configure({
        privateKey: self.privateKey,
        listenPort: 51820,
        peers: [
          {
            publicKey: other.publicKey,
            endpoint: makeEndpoint(parseAddress(other.address)!, 51820),
            allowedIps: [{ prefix: parsePrefix(inner)! }],
          },
        ],
      });
    }
    a!.tun.put(udpPacket('10.0.0.1', '10.0.0.2', 7, 'hello'));
    await until(() => b!.tun.written.length === 1);
    expect(udpPayload(b!.tun.written[0]!, '10.0.0.2')).toBe('hello');
    // initiation, response, data: the responder sends nothing more until it has a packet to send
    expect(seen).toEqual([1, 2, 4]);
    b!.tun.put(udpPacket('10.0.0.2', '10.0.0.1', 7, 'hello yourself'));
    await until(() => a!.tun.written.length === 1);
    expect(udpPayload(a!.tun.written[0]!, '10.0.0.1')).toBe('hello yourself');
    expect(a!.loop.status().peers[0]!.lastHandshakeSeconds).toBeGreaterThan(0);

    b!.tun.change({ up: false, mtu: 1420, name: 'mem0' });
    const before = seen.length;
    b!.tun.put(udpPacket('10.0.0.2', '10.0.0.1', 7, 'anybody?'));
    await sleep(20);
    expect(seen.length).toBe(before);
    expect(a!.tun.written.length).toBe(1);
  },
);

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + HANG_MS; !condition(); await sleep(1))
    if (Date.now() > end) throw new Error('the condition did not become true');
}

test('a port in use is retried once a second and logged once', async () => {
  const engine = new Engine({
    crypto: opensslCrypto,
    cipher: new TwinCipher(opensslPacketAead),
    random: bytes => randomFillSync(bytes),
    wall: clock.wall,
  });
  const tun = new MemoryTun({ up: true, mtu: 1420, name: 'mem0' });
  const network = new MemoryNetwork();
  const errors: string[] = [];
  let attempts = 0;
  let time = 5000;
  const loop = new DeviceLoop({
    engine,
    tun,
    openUdp: port => {
      if (++attempts <= 4) throw Object.assign(new Error('address in use'), { code: 'EADDRINUSE' });
      return network.open([parseAddress('192.0.2.1')!], port);
    },
    clock: { ...clock, now: () => time },
    log: { verbose: () => {}, error: text => errors.push(text) },
    onGone: () => {},
  });
  loops.push(loop);
  loop.start();
  const packet = async () => {
    tun.put(udpPacket('10.0.0.1', '10.0.0.2', 2, 'x'));
    await sleep(1);
  };
  for (let i = 0; i < 50; i++) await packet();
  expect([attempts, errors.length]).toEqual([1, 1]);
  time += 1000;
  for (let i = 0; i < 5; i++) await packet();
  expect([attempts, errors.length]).toEqual([2, 1]);
  // an interface that goes down and up again retries at once
  tun.change({ up: false, mtu: 1420, name: 'mem0' });
  await sleep(1);
  tun.change({ up: true, mtu: 1420, name: 'mem0' });
  await sleep(1);
  expect([attempts, errors.length]).toEqual([3, 1]);
  // a later request for the port is refused
  expect(() => loop.configure({ listenPort: 7 })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
  expect([attempts, engine.running, loop.status().listenPort]).toEqual([4, false, 0]);
  time += 1000;
  await packet();
  expect([attempts, engine.running, errors.length]).toEqual([5, true, 2]);
  expect(errors[1]).toMatch(/^UDP port [0-9]+ is open now$/);
});

test('a port in use is retried without a packet', async () => {
  let isTaken = true;
  const network = new MemoryNetwork();
  const engine = new Engine({
    crypto: opensslCrypto,
    cipher: new TwinCipher(opensslPacketAead),
    random: bytes => randomFillSync(bytes),
    wall: clock.wall,
  });
  const loop = new DeviceLoop({
    engine,
    tun: new MemoryTun({ up: true, mtu: 1420, name: 'mem0' }),
    openUdp: port => {
      if (isTaken) throw Object.assign(new Error('address in use'), { code: 'EADDRINUSE' });
      return network.open([parseAddress('192.0.2.1')!], port);
    },
    clock,
    log: { verbose: () => {}, error: () => {} },
    onGone: () => {},
  });
  loops.push(loop);
  loop.start();
  expect(engine.running).toBe(false);
  isTaken = false;
  await until(() => engine.running);
});
