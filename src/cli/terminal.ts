/** The environment of a command: output, input, variables, time, and WireGuard devices. */
import { fstatSync } from 'node:fs';
import type { SystemBackend } from '../backend/system.ts';
import { Output } from './output.ts';
import { readStandardInput } from './standard-input.ts';

export { UsageError } from './usage-error.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /**
   * Resolves when more text can be written without keeping it in memory. If absent, no wait is
   * needed.
   */
  drained?(): Promise<void>;
  /** Reads all of standard input. */
  input(): string;
  /** Whether a person reads the output. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Returns Unix time in seconds. */
  now(): number;
  /** Opens all devices of this machine. Call it through useBackend. */
  openBackend(): Promise<SystemBackend>;
}

/** A command of wgts. Receives the words after its name. @returns the exit status */
export type Command = (args: readonly string[], terminal: Terminal) => Promise<number> | number;

/** The exit status of a process that SIGPIPE has ended. Node itself ignores that signal. */
const PIPE_STATUS = 141;

/** Returns the terminal of this process. @param program the name in an error about the output */
export function processTerminal(program = 'wgts'): Terminal {
  // Ignore errors of standard error itself: the command continues even if its terminal or reader is
  // gone.
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
 * Escapes control characters, which the terminal would act on. Messages may quote file names,
 * arguments and answers of servers.
 */
export function visible(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, character => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/**
 * Returns whether a person reads the output. Color detection is loaded only for a character device.
 */
function isTerminal(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(descriptor);
  } catch {
    return false; // it was closed
  }
}

/** Opens this terminal's devices for the duration of one call. */
export async function useBackend<T>(terminal: Terminal, use: (backend: SystemBackend) => Promise<T>): Promise<T> {
  const backend = await terminal.openBackend();
  try {
    return await use(backend);
  } finally {
    backend.close();
  }
}
