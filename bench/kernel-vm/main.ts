/**
 * `npm run bench -- kernel-vm`: runs the tunnel benchmark on a Debian kernel inside QEMU
 * (scripts/kernel-vm.mjs), where the kernel module takes part. The CPU is emulated, so only the
 * ratios are meaningful.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BenchOptions } from '../options.ts';
import { loadResults, RESULTS, type Results, ROOT, save } from '../results.ts';
import { Neighbours, noteOn } from './neighbours.ts';
import { againstKernel } from './table.ts';
import { parseResults } from './transcript.ts';

export type KernelVmOptions = Pick<
  BenchOptions,
  'runs' | 'seconds' | 'only' | 'contenders' | 'quick' | 'list' | 'from'
>;

/** The default measures: only a few, because the emulated machine is slow. */
const DEFAULT_MEASURES = ['tcp1'];
/**
 * Parts of the timeout: seconds to boot, seconds to open a tunnel for each transfer, and an upper
 * bound for the number of contenders.
 */
const BOOT_S = 120;
const OPENING_S = 25;
const MOST_CONTENDERS = 8;

/** Prints the table and saves it. @throws Error if the machine or the benchmark inside it fails */
export async function runKernelVm(options: KernelVmOptions): Promise<Results | undefined> {
  if (options.from !== undefined) {
    const results = loadResults(options.from);
    process.stdout.write(againstKernel(results));
    return results;
  }
  const results = await runInside(options);
  if (!results) return undefined;
  const table = againstKernel(results);
  process.stdout.write(table);
  const stem = join(RESULTS, `kernel-vm-${results.date.slice(0, 19).replaceAll(':', '')}`);
  save(`${stem}.json`, `${JSON.stringify(results, null, 1)}\n`);
  save(`${stem}.md`, table);
  process.stderr.write(`\n${stem}.json, .md\n`);
  return results;
}

/** @returns undefined if the options ask for no run (`--list`) */
async function runInside(options: KernelVmOptions): Promise<Results | undefined> {
  const only = options.only.length > 0 ? options.only : DEFAULT_MEASURES;
  const guest = fileURLToPath(new URL('guest.js', import.meta.url));
  const args = [
    `--runs=${options.runs}`,
    `--seconds=${options.seconds}`,
    `--only=${only.join(',')}`,
    ...(options.contenders.length > 0 ? [`--contenders=${options.contenders.join(',')}`] : []),
    ...(options.quick ? ['--quick'] : []),
    ...(options.list ? ['--list'] : []),
  ];
  const timeout = BOOT_S + options.runs * only.length * MOST_CONTENDERS * (options.seconds + OPENING_S);
  process.stderr.write('booting the machine ...\n');
  const neighbours = new Neighbours();
  const machine = spawn(
    process.execPath,
    [join(ROOT, 'scripts/kernel-vm.mjs'), 'run', process.execPath, guest, ...args],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { KERNEL_VM_TIMEOUT: String(timeout), ...process.env },
    },
  );
  const ended = new Promise<number | null>((resolve, reject) => {
    machine.once('error', reject).once('close', resolve);
  });
  let results: Results | undefined;
  for await (const line of createInterface(machine.stdout)) {
    const found = parseResults(line);
    if (found) results = found;
    else if (options.list) process.stdout.write(`${line}\n`);
    else if (line !== '') process.stderr.write(`${line}\n`);
  }
  const status = await ended;
  if (status !== 0 || (!results && !options.list))
    throw new Error(`the benchmark inside the machine failed (${status ?? 'killed'}); its output is above`);
  const note = noteOn(neighbours.share());
  return results && note !== undefined ? { ...results, notes: [...results.notes, note] } : results;
}
