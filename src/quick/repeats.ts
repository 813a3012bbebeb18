/** Keys that a file has twice where one counts, and hooks without a command: read from its lines, since nothing of them is in what was parsed. Pure. */
import { trimSpace, withoutComment, withoutSpace } from '../config/lines.ts';

/** One value each: a later line takes the place of an earlier one. */
const SINGLE = {
  interface: ['PrivateKey', 'ListenPort', 'FwMark', 'MTU', 'Table', 'SaveConfig'],
  peer: ['PublicKey', 'PresharedKey', 'Endpoint', 'PersistentKeepalive'],
};

/**
 * Returns one sentence for each, after the place.
 * @param lines of a file that has no errors
 * @param hooks the keys whose value is a command
 */
export function repeats(
  lines: readonly string[],
  hooks: readonly string[],
): { readonly line: number; readonly text: string }[] {
  const said: { line: number; text: string }[] = [];
  // [Interface] may stand in a file more than once, and is one; each [Peer] is another
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
      said.push({ line, text: `${hook} has no command, so nothing is run: write one, or take the line out` });
    const name = SINGLE[seen === ofInterface ? 'interface' : 'peer'].find(named);
    if (name === undefined) continue;
    const first = seen.get(name);
    if (first !== undefined) {
      const fix = name === 'PublicKey' ? ' (another peer begins with a [Peer] line of its own)' : '';
      said.push({ line, text: `${name} is also in line ${first}: only the last one counts${fix}` });
    }
    seen.set(name, line);
  }
  return said;
}
