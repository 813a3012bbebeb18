/**
 * Felix's configuration file (`/etc/calico/felix.cfg`): `Name = value` by lines, in sections whose names mean nothing. Names come out in
 * lower case; of a name said twice the last counts.
 */
import { type Problem, quoted } from '../model/problem.ts';

export interface FelixFile {
  readonly parameters: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

export function parseFelixFile(text: string): FelixFile {
  const parameters = new Map<string, string>();
  const problems: Problem[] = [];
  text.split(/\r\n|\n|\r/).forEach((raw, index) => {
    const line = (index === 0 ? raw.replace(/^\ufeff/, '') : raw).trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';') || /^\[[^\]]*\]$/.test(line)) return;
    const parts = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(line);
    if (parts) parameters.set(parts[1]!.toLowerCase(), withoutQuotes(parts[2]!));
    else
      problems.push({
        object: 'File/felix.cfg',
        reason: 'InvalidLine',
        message: `line ${index + 1} is ${quoted(line)}, which is not of the form Name = value; it is ignored`,
      });
  });
  return { parameters, problems };
}

function withoutQuotes(text: string): string {
  const inside = /^(["'`])(.*)\1$/.exec(text);
  return inside ? inside[2]! : text;
}
