/**
 * How long tests wait before they take something for hanging. No test expects anything of a clock: on a busy machine all takes many
 * times longer, so these bound hangs and nothing else. A whole test has the time of vitest.config.ts.
 */

/** Milliseconds, for one thing that is to happen. Whoever waits looks again and again, so that it costs nothing where all is well. */
export const HANG_MS = 120_000;
