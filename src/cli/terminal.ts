/** What a command has of the world: its output, its input, its environment, the time. */
import { readFileSync } from 'node:fs';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** All of standard input. */
  input(): string;
  /** Whether a person looks at the output. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Unix time, seconds. */
  now(): number;
}

/** A command of wgts, without the program's and its own name. @returns the exit status */
export type Command = (args: readonly string[], terminal: Terminal) => Promise<number> | number;

/** The arguments are not understood; the message is the command's usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** As if SIGPIPE had ended us, which Node ignores. */
const PIPE_STATUS = 141;

export function processTerminal(): Terminal {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(PIPE_STATUS);
    process.stderr.write(`wgts: cannot write the output: ${error.message}\n`);
    process.exit(1);
  });
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    input: () => readFileSync(0, 'utf8'),
    isTerminal: process.stdout.isTTY === true,
    env: process.env,
    now: () => Math.floor(Date.now() / 1000),
  };
}
