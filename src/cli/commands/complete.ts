/**
 * `wgts __complete PROGRAM WORD...`: what the completion scripts ask (completion/scripts.ts). Each line is a candidate, a tab and a text; the last one says
 * which paths may stand there too: `:file`, `:folder` or `:none`.
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
  // an interface may have a name that a terminal obeys
  const lines = found.candidates.filter(({ value }) => !/\p{Cc}/u.test(value)).map(c => `${c.value}\t${c.text}\n`);
  terminal.out(`${lines.join('')}:${found.paths ?? 'none'}\n`);
  return 0;
};
