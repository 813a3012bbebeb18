/** Runs commands in the foreground until they end, or in the background until they are stopped. */
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until the command is killed. */
  readonly timeout?: number;
  /** Keeps standard input open until endInput(). */
  readonly keepInput?: boolean;
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command in the background. */
export interface Running {
  readonly pid: number;
  readonly argv: readonly string[];
  stdout(): string;
  stderr(): string;
  /** undefined while the command runs. */
  outcome(): Outcome | undefined;
  readonly ended: Promise<Outcome>;
  /** Writes a last text to standard input, and ends it. */
  endInput(text?: string): void;
  /** Sends SIGTERM, then SIGKILL if the command does not end within two seconds. Idempotent. */
  stop(): Promise<void>;
}

const KILL_AFTER_MS = 2000;
/** Keep only the end of the output: a daemon may write a lot. */
const LONGEST_OUTPUT = 1 << 22;

export function start(argv: readonly string[], options: RunOptions = {}): Running {
  const [file, ...args] = argv as [string, ...string[]];
  const child = spawn(file, args, { env: { ...process.env, LC_ALL: 'C', ...options.env }, stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-LONGEST_OUTPUT);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-LONGEST_OUTPUT);
  });
  // The command may end without reading its input.
  child.stdin.on('error', () => {});
  if (options.keepInput !== true) child.stdin.end(options.input);
  let outcome: Outcome | undefined;
  const ended = new Promise<Outcome>(resolve => {
    const finish = (code: number | null): void => {
      outcome ??= { code, stdout, stderr };
      resolve(outcome);
    };
    child.once('error', error => {
      stderr += String(error);
      finish(127);
    });
    child.once('close', finish);
  });
  return {
    pid: child.pid ?? -1,
    argv,
    stdout: () => stdout,
    stderr: () => stderr,
    outcome: () => outcome,
    ended,
    endInput: text => child.stdin.end(text),
    async stop() {
      if (outcome) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Rejects with the output if the command fails. @returns its standard output */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const running = start(argv, options);
  const timer = setTimeout(() => void running.stop(), options.timeout ?? 60_000);
  const { code, stdout, stderr } = await running.ended;
  clearTimeout(timer);
  if (code !== 0)
    throw new Error(`${argv.join(' ')} (${code ?? 'killed'}): ${`${stderr}${stdout}`.trim().slice(-500)}`);
  return stdout;
}

/** Runs a command in the background while `action` runs. */
export async function during<T>(argv: readonly string[], action: (running: Running) => Promise<T>): Promise<T> {
  const running = start(argv);
  try {
    return await action(running);
  } finally {
    await running.stop();
  }
}

/** Waits until a program has printed `ready`. @throws Error with its error text if it ended */
export async function untilReady(what: string, running: Running, timeout?: number): Promise<void> {
  const isReady = (): boolean => {
    const ended = running.outcome();
    if (ended) throw new Error(`${what} ended: ${ended.stderr.slice(-300)}`);
    return running.stdout().includes('ready');
  };
  await until(what, isReady, timeout);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}

/** Polls every few milliseconds until the condition holds. @throws Error after the timeout */
export async function until(what: string, ask: () => boolean | Promise<boolean>, timeout = 10_000): Promise<void> {
  for (const end = Date.now() + timeout; !(await ask()); await sleep(10))
    if (Date.now() > end) throw new Error(`${what} was not ready after ${timeout / 1000} s`);
}
