/**
 * A hand-over of a device with 20,000 peers.
 *
 * @module-tag slow
 */
import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { HANG_MS } from '../support/patience.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, type Pair, tunnelPair } from './pair.ts';
import { handOver } from './successor.ts';
import { mustPing } from './traffic.ts';
import { uapi } from './uapi.ts';

const PEERS = 20_000;

let pair: Pair | undefined;
afterEach(() => pair?.close());

describeWith(NETWORK, `a hand-over with ${PEERS} peers`, () => {
  it('takes all of them, and keeps the session', async () => {
    pair = await tunnelPair();
    const { a } = pair;
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
    const lines = Array.from(
      { length: PEERS },
      (_, i) =>
        `public_key=${randomBytes(32).toString('hex')}\nendpoint=192.0.2.1:${1 + (i % 65535)}\nallowed_ip=fd77::${(i >> 8).toString(16)}:${(i & 255).toString(16)}/128\n`,
    );
    expect(await uapi(a.device.socket, `set=1\n${lines.join('')}\n`, { timeout: HANG_MS })).toMatch(/errno=0/);
    const before = await a.device.wg('showconf', a.device.name);
    const { latestHandshake } = await a.device.peer();
    const successor = await handOver(a.namespace, a.device, a.device.process!);
    console.log(
      successor
        .output()
        .split('\n')
        .find(line => line.includes('took over')),
    );
    expect(await a.device.wg('showconf', a.device.name)).toBe(before);
    expect((await a.device.peer()).latestHandshake).toBe(latestHandshake);
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
  });
});
