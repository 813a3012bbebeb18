/**
 * How long tests wait until something counts as hanging. No test expects anything of a clock: on a
 * busy machine everything takes many times longer, so these limits only end hangs. vitest.config.ts
 * has the limit of a whole test.
 */

/** Milliseconds for one event. Waiting code polls, so a long limit costs nothing if all is well. */
export const HANG_MS = 120_000;
