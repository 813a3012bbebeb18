/** A target is test/fuzz/native/NAME.c. */
export interface Target {
  /** Files of native/ that it runs. */
  readonly native: readonly string[];
  /** Files of test/fuzz/native that it shares with other targets. */
  readonly own: readonly string[];
  /** Functions of the C library that it replaces. */
  readonly replaces: readonly string[];
}
/** Files of native/ that no target runs, and why. */
export const WITHOUT_TARGET: Readonly<Record<string, string>>;
export const TARGETS: Readonly<Record<string, Target>>;
export function corpusOf(name: string): Buffer[];
