/** A terminal that records its output, for commands that run inside the test. */
import type { SystemBackend } from '../../src/backend/system.ts';
import type { Command, Terminal } from '../../src/cli/terminal.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process. @param options overrides of the terminal's defaults */
export async function runCommand(
  command: Command,
  args: readonly string[],
  openBackend: () => SystemBackend,
  options: Partial<Terminal> = {},
): Promise<Outcome> {
  const output = { out: '', err: '' };
  const status = await command(args, {
    out: text => {
      output.out += text;
    },
    err: text => {
      output.err += text;
    },
    input: () => '',
    isTerminal: false,
    env: {},
    now: () => Math.floor(Date.now() / 1000),
    openBackend: async () => openBackend(),
    ...options,
  });
  return { status, ...output };
}
