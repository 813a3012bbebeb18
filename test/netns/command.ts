/**
 * Runs the processes of network tests. Each is tracked by its pid until it ends; those left when
 * the test process ends are killed by that pid. Processes are never ended by name.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { HANG_MS } from '../support/patience.ts';

export interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until SIGKILL; default 60,000. */
  readonly timeout?: number;
  /** Resolve whatever the exit status is. By default a status other than 0 rejects. */
  readonly mayFail?: boolean;
  readonly cwd?: string;
}

/** A background process with its output so far. */
export interface Running {
  readonly pid: number;
  readonly argv: readonly string[];
  /** stdout and stderr in the order of arrival. */
  output(): string;
  stdout(): string;
  readonly exited: Promise<Result>;
  /** undefined while it runs. */
  result(): Result | undefined;
  /**
   * Sends the signal (default SIGTERM), SIGKILL three seconds later, and waits for the end.
   * Idempotent.
   */
  stop(signal?: NodeJS.Signals): Promise<Result>;
}

const alive = new Set<ChildProcess>();
const atExit = new Set<() => void>();

/**
 * Runs an action synchronously if the test process ends without the normal clean-up. @returns a
 * function that cancels it
 */
export function onProcessExit(action: () => void): () => void {
  atExit.add(action);
  return () => atExit.delete(action);
}

process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
  for (const action of atExit) action();
});

/** Runs a command to its end. Rejects with the command, its status and its output when it fails. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  const running = start(argv, options);
  const timer = setTimeout(() => running.stop('SIGKILL'), options.timeout ?? 60_000);
  try {
    const result = await running.exited;
    if (result.code !== 0 && options.mayFail !== true) throw new Error(describe(argv, result));
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/** Starts a command in the background. */
export function start(argv: readonly string[], options: RunOptions = {}): Running {
  const [file, ...args] = argv as [string, ...string[]];
  const env = { ...process.env, LC_ALL: 'C', WG_COLOR_MODE: 'never', ...options.env };
  const child = spawn(file, args, { env, stdio: 'pipe', ...(options.cwd === undefined ? {} : { cwd: options.cwd }) });
  alive.add(child);
  let stdout = '';
  let stderr = '';
  let both = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    both += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    both += text;
  });
  child.stdin.on('error', () => {}); // A command may end without reading its input.
  child.stdin.end(options.input);
  let ended: Result | undefined;
  const exited = new Promise<Result>(resolve => {
    const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
      alive.delete(child);
      ended ??= { code, signal, stdout, stderr };
      resolve(ended);
    };
    child.once('error', error => {
      stderr += String(error);
      finish(127, null);
    });
    child.once('close', finish);
  });
  return {
    pid: child.pid ?? -1,
    argv,
    output: () => both,
    stdout: () => stdout,
    exited,
    result: () => ended,
    async stop(signal = 'SIGTERM') {
      if (ended !== undefined) return ended;
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS / 4);
      // A grandchild that holds the pipes open must not keep the test waiting.
      let giveUp: NodeJS.Timeout | undefined;
      const letGo = () => {
        // The grandchild may hold a pipe, and a pipe that is already closed emits no event.
        giveUp = setTimeout(() => [child.stdout, child.stderr].map(stream => stream.destroy()), 1_000);
      };
      if (child.exitCode === null && child.signalCode === null) child.once('exit', letGo);
      else letGo();
      const result = await exited;
      clearTimeout(timer);
      clearTimeout(giveUp);
      return result;
    },
  };
}

/** Like `run`, but blocking, for clean-up in an exit handler. Failures are ignored. */
export function runNow(argv: readonly string[]): string {
  const [file, ...args] = argv as [string, ...string[]];
  try {
    return execFileSync(file, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 }).toString();
  } catch {
    return '';
  }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}

/**
 * Polls until the answer is neither undefined nor false. Rejects and names `what` after `timeout`
 * milliseconds.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeout = HANG_MS,
  interval = 25,
): Promise<T> {
  const end = Date.now() + timeout;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`waited ${timeout} ms in vain for ${what}`);
    await sleep(interval);
  }
}

/**
 * Waits until a program's output has this: what it wrote before its socket answered may still be in
 * the pipe.
 */
export async function printed(running: Running, expected: string | RegExp): Promise<void> {
  const has = (text: string) => (typeof expected === 'string' ? text.includes(expected) : expected.test(text));
  try {
    await until(`${expected} in the output`, () => has(running.output()) || running.result() !== undefined);
  } catch (error) {
    throw new Error(`${(error as Error).message}:\n${running.output()}`);
  }
  if (!has(running.output())) throw new Error(`ended without ${expected} in its output:\n${running.output()}`);
}

function describe(argv: readonly string[], result: Result): string {
  const status = result.signal === null ? `exit status ${result.code}` : `signal ${result.signal}`;
  return `${argv.join(' ')}: ${status}\n${result.stdout}${result.stderr}`.trim();
}
