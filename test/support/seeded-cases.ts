/**
 * Very many small cases, each with its own seed, for fuzz tests that are too slow with fast-check:
 * WG_FUZZ_RUNS of them (100,000) from WG_FUZZ_SEED, which is printed. WG_FUZZ_CASE runs only the
 * case that a failure names.
 */
import { type Random, seeded } from './random.ts';

export const CASES = Number(process.env['WG_FUZZ_RUNS'] ?? 100_000);
export const SEED = Number(process.env['WG_FUZZ_SEED'] ?? Date.now() >>> 0);
const ONLY = process.env['WG_FUZZ_CASE'];
/** Milliseconds, which end a case that hangs: 3 ms per case, which takes some 20 us. */
export const CASES_LIMIT = 600_000 + CASES * 3;

/** Number of cases by outcome, the word that the case returned. */
export type Tally = Readonly<Record<string, number>>;

/** @throws the error of the first failing case, with how to replay it */
export function eachCase(what: string, run: (random: Random) => string): Tally {
  const first = ONLY === undefined ? 0 : Number(ONLY);
  const end = ONLY === undefined ? CASES : first + 1;
  const tally: Record<string, number> = {};
  for (let number = first; number < end; number++) {
    try {
      const outcome = run(seeded((SEED + Math.imul(number, 0x9e3779b1)) >>> 0));
      tally[outcome] = (tally[outcome] ?? 0) + 1;
    } catch (error) {
      (error as Error).message += `\n(${what}: replay with WG_FUZZ_SEED=${SEED} WG_FUZZ_CASE=${number})`;
      throw error;
    }
  }
  const outcomes = Object.entries(tally).sort((a, b) => b[1] - a[1]);
  const text = outcomes.map(([outcome, times]) => `${outcome} ${times}`).join(', ');
  console.log(`${what}: WG_FUZZ_SEED=${SEED}, ${end - first} cases, 0 differences (${text})`);
  return tally;
}

/**
 * Returns whether each of these outcomes occurred: a fuzz test that reaches nothing proves nothing.
 */
export function reached(tally: Tally, outcomes: readonly string[]): boolean {
  const enough = ONLY !== undefined || CASES < 10_000;
  return enough || outcomes.every(outcome => (tally[outcome] ?? 0) > CASES / 10_000);
}

/** @throws Error with the first difference of two ranges */
export function mustEqual(what: string, a: Uint8Array, b: Uint8Array): void {
  if (Buffer.compare(a, b) === 0) return;
  const at = a.length === b.length ? a.findIndex((byte, i) => byte !== b[i]) : Math.min(a.length, b.length);
  throw new Error(`${what}: at byte ${at} of ${a.length} and ${b.length}: ${a[at]} and ${b[at]}`);
}

/** @throws Error with the first difference of two lists */
export function mustEqualNumbers(what: string, a: Int32Array, b: Int32Array): void {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) throw new Error(`${what}: number ${i}: ${a[i]} and ${b[i]}`);
}
