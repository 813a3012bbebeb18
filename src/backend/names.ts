/**
 * The names that `--backend` takes. They have a file of their own so that a help text loads nothing
 * else.
 */

/** The names that `--backend` takes. `userspace` is native where that works, and pure otherwise. */
export const BACKENDS = ['auto', 'kernel', 'userspace', 'native', 'pure'] as const;
/**
 * The values of `--backend`: `auto` (the kernel where it has WireGuard, else userspace), `kernel`,
 * `userspace` (native where that works, else pure), `native`, `pure`.
 */
export type BackendChoice = (typeof BACKENDS)[number];
