/**
 * `--version` of both programs: prints one line for scripts and, with --verbose, also the build for
 * bug reports. Like every command, it has its own file.
 */
import { describeBuild } from '../../daemon/build.ts';
import { version as number } from '../../io/installation.ts';
import { tooMany } from '../parse-options.ts';
import type { Command } from '../terminal.ts';

export const version: Command = (args, terminal) => {
  const others = args.filter(arg => arg !== '--verbose');
  if (others.length > 0) throw tooMany(others[0]!, '--version');
  terminal.out(`wireguard-ts v${number()}\n`);
  if (args.length > 0) for (const [label, text] of describeBuild()) terminal.out(`${label.padEnd(9)}${text}\n`);
  return 0;
};
