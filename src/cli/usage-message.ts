/**
 * Formats the message for a wrong command line: the error, the likely intended words, and the
 * command that shows the help. This module is loaded only after such an error.
 */
import { nearest } from '../base/nearest.ts';
import type { UsageError } from './usage-error.ts';

/** Longer lists of candidates are not printed; the help has them. */
const MOST_LISTED = 16;

/**
 * Formats the message. @param program such as `wgts up`. @param help the command that shows the
 * help
 */
export function usageMessage({ message, hint }: UsageError, program: string, help: string): string {
  const { given, known, note } = hint;
  const meant = given === undefined ? undefined : nearest(given, known ?? []);
  const lines = [`${program}: ${message}${meant === undefined ? '' : `; did you mean \`${meant}'?`}`];
  const isListed = given !== undefined && !given.startsWith('-');
  if (meant === undefined && isListed && known && known.length <= MOST_LISTED)
    lines.push(`Choose from: ${known.join(', ')}`);
  if (note !== undefined) lines.push(note);
  lines.push(`For help: ${help}`);
  return `${lines.join('\n')}\n`;
}
