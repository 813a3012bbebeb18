/**
 * Finds keys that a file repeats although only one line counts, and hooks without a command. Reads
 * the lines of the file, because the parsed file no longer shows repetitions. Pure.
 */
import { trimSpace, withoutComment, withoutSpace } from '../config/lines.ts';

/** Keys with a single value. A later line replaces an earlier one. */
const SINGLE = {
  interface: ['PrivateKey', 'ListenPort', 'FwMark', 'MTU', 'Table', 'SaveConfig'],
  peer: ['PublicKey', 'PresharedKey', 'Endpoint', 'PersistentKeepalive'],
};

/**
 * Returns one sentence for each finding, with its line number.
 * @param lines the lines of a file without errors
 * @param hooks the keys whose value is a command
 */
export function repeats(
  lines: readonly string[],
  hooks: readonly string[],
): { readonly line: number; readonly text: string }[] {
  const findings: { line: number; text: string }[] = [];
  // Several [Interface] sections count as one. Each [Peer] is a section of its own.
  const ofInterface = new Map<string, number>();
  let seen = ofInterface;
  for (const [i, raw] of lines.entries()) {
    const line = i + 1;
    const content = trimSpace(withoutComment(raw));
    if (content.startsWith('[')) seen = /^\[interface\]$/i.test(withoutSpace(content)) ? ofInterface : new Map();
    const equals = content.indexOf('=');
    if (equals < 0) continue;
    const word = withoutSpace(content.slice(0, equals)).toLowerCase();
    const named = (name: string) => name.toLowerCase() === word;
    const hook = seen === ofInterface ? hooks.find(named) : undefined;
    if (hook && trimSpace(raw.slice(raw.indexOf('=') + 1)) === '')
      findings.push({ line, text: `${hook} has no command, so nothing is run: write one, or take the line out` });
    const name = SINGLE[seen === ofInterface ? 'interface' : 'peer'].find(named);
    if (name === undefined) continue;
    const first = seen.get(name);
    if (first !== undefined) {
      const fix = name === 'PublicKey' ? ' (another peer begins with a [Peer] line of its own)' : '';
      findings.push({ line, text: `${name} is also in line ${first}: only the last one counts${fix}` });
    }
    seen.set(name, line);
  }
  return findings;
}
