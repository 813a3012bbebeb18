/**
 * A flood of initiations with a valid mac1 from a million forged addresses, against a live device:
 * an existing tunnel loses nothing, the flood gets cookies, and a new peer gets its session.
 *
 * @module-tag slow
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FLOOD_SOURCES } from '#dist/bench/tunnel/flood-sources.js';
import { HANG_MS } from '../support/patience.ts';
import { sleep, until } from './command.ts';
import { type Device, ROOT, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { describeWith, NETWORK } from './needs.ts';
import { endpoint, INNER_B, OUTER_A, OUTER_B, type Pair, PORT_B, tunnelPair } from './pair.ts';
import { handOver } from './successor.ts';
import { mustPing, ping } from './traffic.ts';

const FLOODER = join(ROOT, 'dist/bench/tunnel/flooder.js');
const FLOOD_S = 6;
const NEW_INNER = '192.168.241.3';

/**
 * With all messages in one queue, a flood beyond the machine's capacity costs packets, so these
 * rates stay below it. More than 100,000 a second exceed what two cores can process without
 * cookies.
 */
const WAYS: readonly { name: string; args: readonly string[]; rate: number; cookies?: boolean }[] = [
  { name: 'as it comes', args: [], rate: 100_000, cookies: true },
  { name: 'as it comes', args: [], rate: 20_000 },
  { name: 'all messages in one queue', args: ['--no-steer'], rate: 10_000 },
];

for (const { name, args, rate, cookies: needsCookies = false } of WAYS)
  describeWith([...NETWORK], `${rate} initiations a second, ${name}`, () => {
    let pair: Pair;
    beforeAll(async () => {
      pair = await tunnelPair({ startB: { args } });
      const { a, b } = pair;
      await mustPing(a.namespace, INNER_B[4], { count: 3 });
      // The forged sources are addresses of host a, so it may send from them.
      await a.namespace.ip(`route add local ${FLOOD_SOURCES} dev lo`);
      await b.namespace.ip(`route add ${FLOOD_SOURCES} via ${OUTER_A[4]}`);
    });
    afterAll(() => pair?.close());

    const flood = () => {
      const key = Buffer.from(pair.b.keys.publicKey, 'base64').toString('hex');
      const argv = [process.execPath, FLOODER, endpoint(OUTER_B[4], PORT_B), key, String(rate), String(FLOOD_S)];
      return pair.a.namespace.run(argv, { timeout: HANG_MS });
    };

    it('no ping of an established tunnel is lost, and nearly every processed initiation gets a cookie', async () => {
      const before = await counters(pair.b.device);
      const flooding = flood();
      await sleep(500);
      const pings = await ping(pair.a.namespace, INNER_B[4], { count: 100, wait: 5 });
      const { stdout } = await flooding;
      const after = await counters(pair.b.device);
      const [cookies, worked] = [
        after['cookiesSent']! - before['cookiesSent']!,
        after['badHandshake']! - before['badHandshake']!,
      ];
      console.log(`${stdout.trim()}: ${cookies} cookies, ${worked} worked on; pings ${JSON.stringify(pings)}`);
      expect(pings.received).toBe(pings.sent);
      if (!needsCookies) return;
      // Without load a handshake is processed: until the queue is an eighth full, once a second.
      expect(cookies / (cookies + worked)).toBeGreaterThan(0.9);
      expect(cookies).toBeGreaterThan(5000);
    });

    it('a new peer gets its session during the flood', async () => {
      const { lab, a, b } = pair;
      const keys = keyPair();
      const newcomer = await startDevice(lab, a.namespace);
      await b.device.set({ peers: [{ publicKey: keys.publicKey, allowedIps: [`${NEW_INNER}/32`] }] });
      const flooding = flood();
      await sleep(500);
      await newcomer.set({
        privateKey: keys.privateKey,
        peers: [{ publicKey: b.keys.publicKey, endpoint: endpoint(OUTER_B[4], PORT_B), allowedIps: [], keepalive: 5 }],
      });
      await newcomer.up([]);
      await until('the session', async () => (await newcomer.peer()).latestHandshake > 0);
      expect(await flooding).toMatchObject({ code: 0 });
      await newcomer.stop();
    });

    it('a hand-over during the flood keeps the session and the defence', async () => {
      const { a, b } = pair;
      const { latestHandshake } = await b.device.peer();
      const before = await counters(b.device);
      const flooding = flood();
      await sleep(500);
      const pinging = ping(a.namespace, INNER_B[4], { count: 200, wait: 5 });
      const successor = await handOver(b.namespace, b.device, b.device.process!, { args });
      const pings = await pinging;
      await flooding;
      const after = await counters(b.device);
      const [cookies, worked] = [
        after['cookiesSent']! - before['cookiesSent']!,
        after['badHandshake']! - before['badHandshake']!,
      ];
      console.log(`hand-over: ${cookies} cookies, ${worked} worked on; pings ${JSON.stringify(pings)}`);
      expect((await b.device.peer()).latestHandshake).toBe(latestHandshake);
      expect(pings.received).toBe(pings.sent);
      if (needsCookies) expect(cookies / (cookies + worked)).toBeGreaterThan(0.9);
      expect((await successor.stop()).code).toBe(0);
    });
  });

async function counters(device: Device): Promise<Record<string, number | undefined>> {
  const argv = [process.execPath, join(ROOT, 'dist/program/wgts.cjs'), 'show', device.name, '--json'];
  return (JSON.parse((await device.namespace.run(argv)).stdout) as { counters: Record<string, number> }).counters;
}
