/**
 * `npm run bench -- pipeline`: how the in-memory pipeline (program.ts) grows with its threads, in
 * interleaved runs. More threads than processors show only that they cost little.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Progress } from '../progress.ts';
import { median } from '../statistics.ts';

const PROGRAM = fileURLToPath(new URL('program.js', import.meta.url));
const THREADS = [1, 2, 4, 8] as const;

export interface PipelineRow {
  readonly threads: number;
  readonly gigabits: number;
  /** Against one thread, the median of the ratios run by run. */
  readonly ratio: number;
}

export interface PipelineOptions {
  readonly runs: number;
  readonly seconds: number;
}

/** Measures, and prints a table. */
export function runPipeline({ runs, seconds }: PipelineOptions): PipelineRow[] {
  const progress = new Progress(runs * THREADS.length);
  const results = new Map<number, number[]>(THREADS.map(threads => [threads, []]));
  for (let run = 1; run <= runs; run++)
    for (const threads of THREADS) {
      const name = `run ${run}, ${threads} thread${threads > 1 ? 's' : ''}`;
      progress.begin(name);
      const text = execFileSync(process.execPath, [PROGRAM, String(seconds), String(threads)], {
        encoding: 'utf8',
        input: 'go\n',
      });
      const gigabits = (Number(/bytes\/s (\d+)/.exec(text)![1]) * 8) / 1e9;
      results.get(threads)!.push(gigabits);
      progress.end(name, `${gigabits.toFixed(2)} Gbit/s`);
    }
  progress.finish();
  const one = results.get(1)!;
  const rows = THREADS.map(threads => {
    const all = results.get(threads)!;
    return { threads, gigabits: median(all), ratio: median(all.map((each, i) => each / one[i]!)) };
  });
  const lines = rows.map(
    ({ threads, gigabits, ratio }) => `| ${threads} | ${gigabits.toFixed(2)} | ${ratio.toFixed(2)} |`,
  );
  process.stdout.write(`| threads | Gbit/s | against one |\n| --: | --: | --: |\n${lines.join('\n')}\n`);
  return rows;
}
