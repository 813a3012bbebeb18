/**
 * Ten thousand random walks; `npm test` runs a twentieth of them. SIM_WALKS sets their number. A
 * failing walk prints its seed, and SIM_SEED=<seed> replays that walk only.
 */
import { expect, test } from 'vitest';
import { seeded, testSeed } from '../support/random.ts';
import { SLOW } from '../support/selection.ts';
import { walk } from './walk.ts';

const WALKS = Number(process.env['SIM_WALKS'] ?? 10_000);
/** Only bounds a hang. */
const LIMIT_MS = 900_000;
const PARTS = 20;
const one = process.env['SIM_SEED'];
const base = testSeed();

if (one === undefined) for (let part = 0; part < PARTS; part++) walkPart(part);
else
  test('the walk with SIM_SEED', () => {
    expect(walk(seeded(Number(one))).delivered).toBeGreaterThan(0);
  });

function walkPart(part: number): void {
  const name = `random walks, part ${part + 1} of ${PARTS}: nothing altered, misdirected, repeated or in the clear, no nonce twice, and all heals`;
  test(name, { timeout: LIMIT_MS, tags: part === 0 ? [] : SLOW }, () => {
    let [delivered, handOvers, crashes] = [0, 0, 0];
    for (let i = part; i < WALKS; i += PARTS) {
      const seed = (base + i) >>> 0;
      try {
        const sim = walk(seeded(seed));
        delivered += sim.delivered;
        handOvers += sim.handOvers;
        crashes += sim.crashes;
      } catch (error) {
        (error as Error).message += `\n(replay with SIM_SEED=${seed})`;
        throw error;
      }
    }
    expect(delivered).toBeGreaterThan(WALKS / PARTS);
    expect(handOvers).toBeGreaterThan(WALKS / PARTS / 10);
    expect(crashes).toBeGreaterThan(WALKS / PARTS / 50);
  });
}
