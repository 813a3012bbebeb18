/** The names that `--backend` takes. A file of its own, so that a help text loads nothing else. */

/** `userspace` is native where that works, and otherwise pure. */
export const BACKENDS = ['auto', 'kernel', 'userspace', 'native', 'pure'] as const;
export type BackendName = (typeof BACKENDS)[number];

export function isBackend(text: string): text is BackendName {
  return (BACKENDS as readonly string[]).includes(text);
}
