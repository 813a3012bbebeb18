/**
 * `wgts completion SHELL`: prints the script that makes Tab complete both programs. Like every
 * command, it has its own file, so that a run loads only what it needs.
 */
import { COMPLETION_SCRIPTS } from '../completion/scripts.ts';
import * as texts from '../help/texts/machine.ts';
import { checkChoice, parseOptions } from '../parse-options.ts';
import type { Command } from '../terminal.ts';

export const completion: Command = (args, terminal) => {
  const [shell] = parseOptions(texts.completion, args, { least: 1 }).positionals;
  terminal.out(COMPLETION_SCRIPTS[checkChoice('the argument SHELL', shell!, texts.SHELLS)]);
  return 0;
};
