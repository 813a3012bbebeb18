/**
 * `wgts __complete PROGRAM WORD...`: computes candidates for the completion scripts
 * (completion/scripts.ts). Each line has a candidate, a tab and a description. The last line says
 * which paths may follow: `:file`, `:folder` or `:none`.
 */
import { basename } from 'node:path';
import { type Completion, completeCommand, completeWgts } from '../completion/candidates.ts';
import { systemSources } from '../completion/system-sources.ts';
import type { Command } from '../terminal.ts';

export const complete: Command = async ([program = 'wgts', ...words], terminal) => {
  const sources = systemSources(terminal);
  let found: Completion;
  if (basename(program) === 'wireguard-ts') {
    const { wireguardTs } = await import('../help/texts/wireguard-ts.ts');
    found = await completeCommand(wireguardTs, words, sources);
  } else found = await completeWgts(words, sources);
  // An interface name may contain control characters, which the terminal would act on.
  const lines = found.candidates.filter(({ value }) => !/\p{Cc}/u.test(value)).map(c => `${c.value}\t${c.text}\n`);
  terminal.out(`${lines.join('')}:${found.paths ?? 'none'}\n`);
  return 0;
};
