/**
 * Bad input to a live device: each bad datagram increments a counter, each bad request returns an
 * errno, and pings continue.
 *
 * @module-tag slow
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seeded, testSeed } from '../support/random.ts';
import { capture, messageType, type SeenDatagram } from './capture.ts';
import { sleep, until } from './command.ts';
import { type Device, PROGRAM, ROOT } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, OUTER_A, OUTER_B, type Pair, PORT_A, PORT_B, tunnelPair } from './pair.ts';
import { mustPing, ping } from './traffic.ts';
import { errnoOf, uapi } from './uapi.ts';

const SENDER = join(ROOT, 'test/netns/datagram-sender.mjs');
const random = seeded(testSeed());

describeWith([...NETWORK, 'tcpdump'], `bad input (${PROGRAM})`, () => {
  let pair: Pair;
  let heard: SeenDatagram[];
  beforeAll(async () => {
    pair = await tunnelPair({ initiator: 'a' });
    const cable = await capture(pair.lab, pair.b.namespace, 'eth0');
    await mustPing(pair.a.namespace, INNER_B[4], { count: 3 });
    heard = await cable.stop();
  });
  afterAll(() => pair?.close());

  const heardType = (type: number) => heard.find(datagram => messageType(datagram.payload) === type)!.payload;
  /** Sends from host a, but not from its tunnel's port, to b's port. */
  const send = async (datagrams: readonly Uint8Array[], address: string = OUTER_B[4]) => {
    const input = `${datagrams.map(bytes => Buffer.from(bytes).toString('hex')).join('\n')}\n`;
    await pair.a.namespace.run([process.execPath, SENDER, address, String(PORT_B)], { input });
  };
  const counters = async (device: Device) =>
    JSON.parse((await wgts(device, 'show', device.name, '--json')).stdout).counters as Record<string, number>;
  const wgts = (device: Device, ...args: string[]) =>
    device.namespace.run([process.execPath, join(ROOT, 'dist/program/wgts.cjs'), ...args]);

  /**
   * Sends datagrams and returns the growth of each counter, once their sum has grown by as many.
   * The counter of the host's own packets without a peer, such as IPv6 solicitations, does not
   * count.
   */
  async function growth(datagrams: readonly Uint8Array[], address?: string): Promise<Record<string, number>> {
    const before = await counters(pair.b.device);
    await send(datagrams, address);
    let grown: Record<string, number> = {};
    await until('the counters', async () => {
      const now = await counters(pair.b.device);
      grown = Object.fromEntries(
        Object.entries(now)
          .map(([name, value]) => [name, value - before[name]!] as const)
          .filter(([name, more]) => more > 0 && name !== 'noPeer'),
      );
      return Object.values(grown).reduce((sum, more) => sum + more, 0) >= datagrams.length;
    });
    return grown;
  }

  const truncated = (bytes: Buffer, lengths: readonly number[]) => lengths.map(length => bytes.subarray(0, length));
  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 1;
    return copy;
  };

  it('counts truncated and oversized messages of every type, and unknown messages', async () => {
    const cookie = Buffer.alloc(64);
    cookie[0] = 3;
    const bad = [
      ...truncated(heardType(1), [1, 4, 147]),
      ...truncated(heardType(2), [5, 91]),
      ...truncated(cookie, [63]),
      ...truncated(heardType(4), [16, 31]),
      Buffer.concat([heardType(1), Buffer.alloc(1)]),
      Buffer.concat([heardType(2), Buffer.alloc(1)]),
      Buffer.concat([cookie, Buffer.alloc(1)]),
      Buffer.alloc(0),
      Buffer.from([5, 0, 0, 0, 1, 2, 3, 4]),
      Buffer.alloc(65_000, 4),
    ];
    expect(await growth(bad)).toEqual({ malformedDatagram: bad.length });
  });

  it('a flipped bit in each field increments the counter of the check that detects it', async () => {
    const initiation = heardType(1);
    // Type, sender, ephemeral, static, timestamp, mac1. Without a valid mac1 no further check runs.
    expect(await growth([4, 8, 40, 88, 116].map(at => flipped(initiation, at)))).toEqual({ badMac1: 5 });
    const transport = heardType(4);
    expect(await growth([flipped(transport, 16), flipped(transport, transport.length - 1)])).toEqual({ badTag: 2 });
    expect(await growth([flipped(transport, 4)])).toEqual({ unknownReceiver: 1 });
    const cookie = Buffer.alloc(64);
    cookie[0] = 3;
    heardType(4).copy(cookie, 4, 4, 8);
    expect(Object.keys(await growth([cookie]))[0]).toMatch(/^(badCookie|unknownReceiver)$/);
  });

  it.each(['10.0.0.255', 'ff02::1%eth0'])('counts a message to all hosts of the cable (%s) once', async address => {
    const handshakes = [4, 8, 40].map(at => flipped(heardType(1), at));
    const transports = [4, 5].map(at => flipped(heardType(4), at));
    const grown = await growth([...handshakes, ...transports, Buffer.alloc(1)], address);
    expect(grown).toEqual({ badMac1: 3, unknownReceiver: 2, malformedDatagram: 1 });
  });

  it('drops and counts replayed messages of every type', async () => {
    expect(await growth([heardType(4)])).toEqual({ replayed: 1 });
    // An old initiation of a known peer: its timestamp is not newer.
    expect(Object.keys(await growth([heardType(1)]))).toEqual(['replayedInitiation']);
  });

  it('drops and counts its own messages sent back', async () => {
    const own = heard.filter(datagram => datagram.source === OUTER_B[4]).map(datagram => datagram.payload);
    expect(own.map(messageType)).toContain(2);
    const grown = await growth(own);
    expect(
      Object.keys(grown).every(name => /^(badMac1|unknownReceiver|badTag|replayed|badHandshake)$/.test(name)),
    ).toBe(true);
  });

  it('survives wrong, unfinished and endless requests of the control socket', async () => {
    const { socket } = pair.b.device;
    expect(errnoOf(await uapi(socket, `set=1\nprivate_key=${'a'.repeat(1 << 20)}\n\n`))).toBeLessThan(0);
    expect(errnoOf(await uapi(socket, 'set=1\nno_such_key=1\n\n'))).toBe(-22);
    expect(errnoOf(await uapi(socket, 'set=1\nlisten_port=70000\n\n'))).toBe(-22);
    expect(errnoOf(await uapi(socket, 'set=1\nthis is no line\n\n'))).toBeLessThan(0);
    await uapi(socket, 'set=1\nlisten_port=1234\n', { hangUp: true });
    await uapi(socket, 'set=1\nlisten_p', { hangUp: true });
    await uapi(socket, random.bytes(100_000), { hangUp: true });
    // Idle connections must not block other clients.
    const idle = Array.from({ length: 20 }, () => connect(socket));
    for (const connection of idle) connection.on('error', () => {}).write('get=');
    expect(await pair.b.device.show('listen-port')).toBe(String(PORT_B));
    for (const connection of idle) connection.destroy();
  });

  it('the session is unchanged after all this', async () => {
    await mustPing(pair.a.namespace, INNER_B[4], { count: 3 });
    await mustPing(pair.b.namespace, INNER_A[6], { count: 3 });
    expect(pair.b.device.process!.output()).not.toMatch(/TypeError|RangeError|at .*\.js/);
    expect((await pair.b.device.peer()).endpoint).toBe(`${OUTER_A[4]}:${PORT_A}`);
  });

  it('60,000 random and half-valid datagrams within 10 s lose under 2 % of pings, with steady memory', async () => {
    // A valid mac1 needs only the public key, which an attacker may know: a third of the flood
    // causes work.
    const half = [heardType(1), heardType(4), heardType(2)];
    const kinds = Array.from({ length: 300 }, (_, i) => {
      if (i % 3 === 0) return Buffer.from(random.bytes(random.below(1400)));
      const bytes = Buffer.from(half[i % 2]!);
      if (i % 3 === 1) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
      return bytes;
    });
    await send(kinds);
    const before = await pair.b.device.residentBytes();
    const pings = ping(pair.a.namespace, INNER_B[4], { count: 400, interval: 0.02, wait: 2 });
    const input = `${kinds.map(bytes => bytes.toString('hex')).join('\n')}\n`;
    const flood = pair.a.namespace.run([process.execPath, SENDER, OUTER_B[4], String(PORT_B), '60000', '7000'], {
      input,
    });
    const { sent, received } = await pings;
    const { stdout } = await flood;
    expect(Number(/sent (\d+)/.exec(stdout)![1])).toBe(60_000);
    console.log(
      `flood: ${stdout.trim()}; ${received} of ${sent} pings; ${((await pair.b.device.residentBytes()) - before) >> 20} MiB more`,
    );
    expect(received).toBeGreaterThanOrEqual(sent * 0.98);
    // A second flood shows whether memory grows with the input.
    const steady = await pair.b.device.residentBytes();
    await pair.a.namespace.run([process.execPath, SENDER, OUTER_B[4], String(PORT_B), '60000', '5000'], { input });
    await sleep(500);
    expect((await pair.b.device.residentBytes()) - steady).toBeLessThan(16 << 20);
    await mustPing(pair.a.namespace, INNER_B[4], { count: 3 });
  });
});
