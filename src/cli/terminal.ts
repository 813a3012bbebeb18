/** What a command has of the world: its output, its input, its environment, the time, and WireGuard devices. */
import { fstatSync } from 'node:fs';
import type { SystemBackend } from '../backend/system.ts';
import { Output } from './output.ts';
import { readStandardInput } from './standard-input.ts';

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
  // what is said goes nowhere when the terminal or the reader is gone; what is being done is done all the same
  const errors = new Output(
    2,
    () => process.stderr,
    () => {},
  );
  const output = new Output(
    1,
    () => process.stdout,
    error => {
      if (error.code === 'EPIPE') process.exit(PIPE_STATUS);
      errors.write(`${program}: cannot write the output: ${error.message}\n`);
      process.exit(1);
    },
  );
  return {
    out: text => output.write(text),
    err: text => errors.write(visible(text)),
    drained: () => output.drained(),
    input: () => readStandardInput().toString('utf8'),
    get isTerminal() {
      return isTerminal(1);
    },
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

/** Loads what knows terminals only where there may be one. */
function isTerminal(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(descriptor);
  } catch {
    return false; // it was closed
  }
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
