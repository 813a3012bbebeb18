/** The environment of a command: output, input, variables, time, and WireGuard devices. */
import { fstatSync } from 'node:fs';
import type { SystemBackend } from '../backend/system.ts';
import { Output } from './output.ts';
import { readStandardInput } from './standard-input.ts';

export { UsageError } from './usage-error.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Resolves when more text can be written without buffering it in memory. Absent: always. */
  drained?(): Promise<void>;
  /** Reads all of standard input. */
  input(): string;
  /** Whether a person reads the output. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Unix time, seconds. */
  now(): number;
  /** All devices of this machine, for useBackend. */
  openBackend(): Promise<SystemBackend>;
}

/** A command of wgts. Its arguments are the words after its name. @returns the exit status */
export type Command = (args: readonly string[], terminal: Terminal) => Promise<number> | number;

/** The exit status of a process that SIGPIPE ended; Node ignores that signal. */
const PIPE_STATUS = 141;

/** @param program the name that precedes an error about the output */
export function processTerminal(program = 'wgts'): Terminal {
  // Errors of standard error itself are ignored: the command continues without its terminal or
  // reader.
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

/**
 * Escapes control characters instead of sending them to the terminal: messages quote file names,
 * arguments and answers of servers.
 */
export function visible(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, character => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Loads the detection of color support only if the output may be a terminal. */
function isTerminal(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(descriptor);
  } catch {
    return false; // it was closed
  }
}

/** Opens this terminal's devices for the duration of a call. */
export async function useBackend<T>(terminal: Terminal, use: (backend: SystemBackend) => Promise<T>): Promise<T> {
  const backend = await terminal.openBackend();
  try {
    return await use(backend);
  } finally {
    backend.close();
  }
}
