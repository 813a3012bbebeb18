/** A terminal that remembers, for commands that run inside the test. */
import type { SystemBackend } from '../../src/backend/system.ts';
import type { Command, Terminal } from '../../src/cli/terminal.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** @param options what of the terminal is not as usual */
export async function runCommand(
  command: Command,
  args: readonly string[],
  openBackend: () => SystemBackend,
  options: Partial<Terminal> = {},
): Promise<Outcome> {
  const said = { out: '', err: '' };
  const status = await command(args, {
    out: text => {
      said.out += text;
    },
    err: text => {
      said.err += text;
    },
    input: () => '',
    isTerminal: false,
    env: {},
    now: () => Math.floor(Date.now() / 1000),
    openBackend: async () => openBackend(),
    ...options,
  });
  return { status, ...said };
}
