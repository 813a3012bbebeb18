/** What a command has of the world: its output, its input, its environment, the time, and WireGuard devices. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { SystemBackend } from '../backend/system.ts';

export { UsageError } from './usage-error.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Resolves when more may be said without being kept in memory. Absent: always. */
  drained?(): Promise<void>;
  /** All of standard input. */
  input(): string;
  /** Whether a person looks at the output. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Unix time, seconds. */
  now(): number;
  /** All devices here, for useBackend. */
  openBackend(): Promise<SystemBackend>;
}

/** A command of wgts: its arguments are those after its name. @returns the exit status */
export type Command = (args: readonly string[], terminal: Terminal) => Promise<number> | number;

/** As if SIGPIPE had ended us, which Node ignores. */
const PIPE_STATUS = 141;

/** @param program whose name stands before what cannot be written */
export function processTerminal(program = 'wgts'): Terminal {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(PIPE_STATUS);
    process.stderr.write(`${program}: cannot write the output: ${error.message}\n`);
    process.exit(1);
  });
  // what is said goes nowhere when the terminal or the reader is gone; what is being done is done all the same
  process.stderr.on('error', () => {});
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(visible(text)),
    drained: async () => {
      if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
    },
    input: () => readFileSync(0, 'utf8'),
    isTerminal: process.stdout.isTTY === true,
    env: process.env,
    now: () => Math.floor(Date.now() / 1000),
    openBackend: async () => new (await import('../backend/system.ts')).SystemBackend(),
  };
}

/** Shows control characters instead of sending them to the terminal: messages quote file names, arguments and what servers answer. */
export function visible(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, character => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Opens this terminal's devices for a while. */
export async function useBackend<T>(terminal: Terminal, use: (backend: SystemBackend) => Promise<T>): Promise<T> {
  const backend = await terminal.openBackend();
  try {
    return await use(backend);
  } finally {
    backend.close();
  }
}
