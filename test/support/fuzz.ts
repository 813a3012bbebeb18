/** How the fuzz tests run: WG_FUZZ_RUNS cases for each property (100,000), from WG_FUZZ_SEED, which is printed. */
import fc from 'fast-check';

export const RUNS = Number(process.env['WG_FUZZ_RUNS'] ?? 100_000);
const SEED = Number(process.env['WG_FUZZ_SEED'] ?? Date.now() >>> 0);
/** Milliseconds for one property, so that one that hangs ends. */
export const LIMIT = 600_000 + RUNS * 5;
console.log(`fuzz: WG_FUZZ_SEED=${SEED}, ${RUNS} cases for each parser`);

/** @throws Error with the smallest case that fails and the seed */
export function check<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void, numRuns = RUNS): void {
  fc.assert(fc.property(arbitrary, property), { numRuns, seed: SEED, endOnFailure: true });
}
