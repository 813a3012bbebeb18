/**
 * Compiles the regular expressions in Felix's parameters as Go does. RE2 syntax differs from
 * JavaScript's (`(?i)`, `[[:alpha:]]`, `\z`, no look-around). RE2 also matches in time linear in
 * the text, whereas a JavaScript pattern could block the agent for years.
 */
import { RE2JS } from 're2js';

/** A regular expression in RE2 syntax, which Go, and therefore Felix, uses. */
export interface NamePattern {
  /** The expression as the user wrote it. */
  readonly source: string;
  /** Returns whether the expression matches some part of the text. */
  test(text: string): boolean;
}

/** Compiles a pattern; returns undefined if Go rejects it. */
export function goRegexp(source: string): NamePattern | undefined {
  try {
    const compiled = RE2JS.compile(source);
    return { source, test: text => compiled.test(text) };
  } catch {
    return undefined;
  }
}
