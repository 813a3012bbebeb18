/**
 * `npm run bench -- scale`: how throughput grows with the number of threads, on a machine that has
 * fewer cores than threads. Each thread of a program is held to a tenth of a core, so that two
 * cores have room for twenty of them. The figures compare numbers of threads with each other. They
 * do not predict a real machine, where threads also share caches and memory.
 *
 * The program is a shell command; the number of threads is its last argument. It prints `threads N`
 * once they all run, waits for a line on its standard input, works, and prints `bytes/s X`. The
 * default seals packets in worker threads (sealers.ts).
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Progress } from '../progress.ts';
import { ROOT } from '../results.ts';
import { median } from '../statistics.ts';
import { table } from '../table.ts';
import { Shares } from './shares.ts';

export interface ScaleRow {
  readonly threads: number;
  /** Median over the runs. */
  readonly bytesPerSecond: number;
  /** Ratio to the median of one thread. */
  readonly ratio: number;
}

const THREADS = [1, 2, 4, 8];
/** Of a core, for each thread. */
const SHARE = 0.1;
const START_PATIENCE_MS = 30_000;

export async function runScale(command: string | undefined, runs: number): Promise<ScaleRow[]> {
  const program = command ?? `'${process.execPath}' '${join(ROOT, 'dist/bench/scale/sealers.js')}'`;
  const values = new Map<number, number[]>(THREADS.map(count => [count, []]));
  const progress = new Progress(runs * THREADS.length);
  // in turn, so that a slow minute affects all of them
  for (let run = 0; run < runs; run++)
    for (const count of THREADS) {
      const what = `run ${run + 1}, ${count} threads`;
      progress.begin(what);
      const value = await measure(program, count);
      values.get(count)!.push(value);
      progress.end(what, `${(value / 1e6).toFixed(1)} MB/s`);
    }
  progress.finish();
  const one = median(values.get(1)!);
  const rows = THREADS.map(threads => {
    const bytesPerSecond = median(values.get(threads)!);
    return { threads, bytesPerSecond, ratio: bytesPerSecond / one };
  });
  const lines = rows.map(row => [String(row.threads), (row.bytesPerSecond / 1e6).toFixed(1), row.ratio.toFixed(2)]);
  process.stdout.write(table([['threads of a tenth of a core', 'MB/s', 'to one thread'], ...lines]));
  return rows;
}

async function measure(program: string, count: number): Promise<number> {
  // exec: the process that is held must be the program and not its shell
  const child = spawn('sh', ['-c', `exec ${program} ${count}`], { stdio: 'pipe' });
  child.stderr.pipe(process.stderr);
  const shares = new Shares(`wgts-scale-${process.pid}`);
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const threads = await answer(child, lines, 'threads');
    if (threads !== count) throw new Error(`the program has ${threads} threads, not ${count}`);
    shares.hold(child.pid!, SHARE);
    child.stdin.write('go\n');
    return await answer(child, lines, 'bytes/s');
  } finally {
    const ended = new Promise(resolve => child.exitCode ?? child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await shares.release();
  }
}

/** Reads lines up to one of `word NUMBER`. @throws Error if the program ends, or says nothing */
async function answer(
  child: ChildProcessWithoutNullStreams,
  lines: AsyncIterator<string>,
  word: string,
): Promise<number> {
  const limit = setTimeout(() => child.kill('SIGKILL'), START_PATIENCE_MS);
  try {
    for (;;) {
      const { done, value } = await lines.next();
      if (done) throw new Error(`the program ended without a line of \`${word} NUMBER'`);
      const [first, number] = value.split(' ');
      if (first === word && Number(number) > 0) return Number(number);
    }
  } finally {
    clearTimeout(limit);
  }
}
