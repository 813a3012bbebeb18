/** `--version` of both programs: one line that scripts read; with --verbose also what was built in, for reports. */
import { describeBuild } from '../../daemon/build.ts';
import { version as number } from '../../daemon/version.ts';
import { tooMany } from '../parse-options.ts';
import type { Command } from '../terminal.ts';

export const version: Command = (args, terminal) => {
  const others = args.filter(arg => arg !== '--verbose');
  if (others.length > 0) throw tooMany(others[0]!, '--version');
  terminal.out(`wireguard-ts v${number()}\n`);
  if (args.length > 0) for (const [label, text] of describeBuild()) terminal.out(`${label.padEnd(9)}${text}\n`);
  return 0;
};
