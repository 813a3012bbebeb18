/**
 * Behaviour that takes its time on a real clock: rekeying after 120 s, and the keepalives of an
 * idle tunnel. One tunnel each, all at once.
 *
 * @module-tag slow
 */
import { expect, it } from 'vitest';
import { capture, countTypes } from './capture.ts';
import { sleep } from './command.ts';
import { PROGRAM } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, type PairOptions, tunnelPair } from './pair.ts';
import { mustPing, ping } from './traffic.ts';

const REKEY_AFTER_S = 120;

describeWith([...NETWORK, 'tcpdump', 'wireguard-go'], 'in real time', () => {
  const pairs: Readonly<Record<string, PairOptions>> = {
    'ours with ours': { a: PROGRAM, b: PROGRAM, initiator: 'a' },
    'ours with wireguard-go': { a: PROGRAM, b: 'wireguard-go', initiator: 'a', psk: true },
    'wireguard-go with ours': { a: 'wireguard-go', b: PROGRAM, initiator: 'a', psk: true },
  };
  it.concurrent.each(Object.entries(pairs))(
    '%s: a new session after 120 s, without losing a ping',
    async (_name, options) => {
      const pair = await tunnelPair(options);
      try {
        await mustPing(pair.a.namespace, INNER_B[4]);
        const first = (await pair.a.device.peer()).latestHandshake;
        const cable = await capture(pair.lab, pair.a.namespace, 'eth0');
        const seconds = REKEY_AFTER_S + 14;
        const { sent, received } = await ping(pair.a.namespace, INNER_B[4], {
          count: seconds * 5,
          interval: 0.2,
          wait: 5,
        });
        expect(received).toBe(sent);
        const again = (await pair.a.device.peer()).latestHandshake;
        expect(again - first).toBeGreaterThanOrEqual(REKEY_AFTER_S - 1);
        expect(again - first).toBeLessThanOrEqual(REKEY_AFTER_S + 8);
        const types = countTypes(await cable.stop());
        expect(types.slice(0, 3)).toEqual([0, 1, 1]);
      } finally {
        await pair.close();
      }
    },
    200_000,
  );

  it.concurrent('an idle tunnel sends one keepalive 10 s after unanswered data, and then nothing', async () => {
    const pair = await tunnelPair({ initiator: 'a' });
    try {
      await mustPing(pair.a.namespace, INNER_B[4]);
      await sleep(1000);
      const cable = await capture(pair.lab, pair.a.namespace, 'eth0');
      await pair.b.namespace.ip(`addr del ${INNER_B[4]}/24 dev ${pair.b.device.name}`);
      await ping(pair.a.namespace, INNER_B[4], { count: 1, wait: 1 });
      await sleep(24_000);
      const datagrams = await cable.stop();
      const keepalives = datagrams.filter(({ payload }) => payload.length === 32);
      expect(keepalives.map(({ source }) => source)).toEqual(['10.0.0.2']);
      expect(countTypes(datagrams).slice(0, 4)).toEqual([0, 0, 0, 0]);
    } finally {
      await pair.close();
    }
  });
});
