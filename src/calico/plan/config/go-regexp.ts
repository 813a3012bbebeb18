/**
 * Regular expressions as Go reads them, in Felix's parameters: RE2's syntax, which is another than JavaScript's (`(?i)`, `[[:alpha:]]`, `\z`, no
 * look-around). RE2 takes time by the length of the text, whatever the pattern: one of JavaScript's could hold the agent for years.
 */
import { RE2JS } from 're2js';

/** A regular expression in RE2's syntax, as Go and so Felix reads it. */
export interface NamePattern {
  /** The expression as it was written. */
  readonly source: string;
  /** Returns whether the expression matches some part of the text. */
  test(text: string): boolean;
}

/** @returns undefined where Go refuses it */
export function goRegexp(source: string): NamePattern | undefined {
  try {
    const compiled = RE2JS.compile(source);
    return { source, test: text => compiled.test(text) };
  } catch {
    return undefined;
  }
}
