/**
 * Settings of the fuzz tests: WG_FUZZ_RUNS cases per property (50,000), from WG_FUZZ_SEED, which
 * is printed.
 */
import fc from 'fast-check';

export const RUNS = Number(process.env['WG_FUZZ_RUNS'] ?? 50_000);
const SEED = Number(process.env['WG_FUZZ_SEED'] ?? Date.now() >>> 0);
/** Milliseconds for one property, which end one that hangs. */
export const LIMIT = 600_000 + RUNS * 5;
console.log(`fuzz: WG_FUZZ_SEED=${SEED}, ${RUNS} cases for each parser`);

/** @throws Error with the smallest failing case and the seed */
export function check<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void, numRuns = RUNS): void {
  fc.assert(fc.property(arbitrary, property), { numRuns, seed: SEED, endOnFailure: true });
}
