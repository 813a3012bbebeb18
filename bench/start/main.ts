/**
 * `npm run bench -- start`: times short commands as users start them, from start to end, against
 * `node -e 0`. Each run executes every command once, so that other load on the machine affects all
 * of them. The benchmark requires root. It runs in its own namespaces, in which only its own
 * interfaces exist.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Progress } from '../progress.ts';
import { ROOT } from '../results.ts';
import { median, ratio } from '../statistics.ts';
import { table } from '../table.ts';

export interface StartRow {
  readonly command: string;
  /** Median in milliseconds. */
  readonly milliseconds: number;
  /** Ratio to `node -e 0`: the median over the runs of each run's ratio. */
  readonly ratio: number;
}

const RUNS = 30;
const QUICK_RUNS = 3;
const INTERFACE = 'wgbench0';
/** The environment variable that marks the process inside the namespaces. */
const INSIDE = 'WGTS_BENCH_INSIDE';
const SOCKET_PATIENCE_MS = 20_000;

/**
 * Measures all commands. Prints a progress line on stderr and a table on stdout. @returns undefined
 * in the process that only enters the namespaces
 */
export async function runStart({ quick }: { readonly quick: boolean }): Promise<StartRow[] | undefined> {
  if (process.env[INSIDE] === undefined) return enter();
  const rows = await measure(commands(), quick ? QUICK_RUNS : RUNS);
  process.stdout.write(
    table([
      ['', 'ms', 'to node -e 0'],
      ...rows.map(row => [row.command, row.milliseconds.toFixed(1), row.ratio.toFixed(2)]),
    ]),
  );
  return rows;
}

/** Runs the same command line in new namespaces that have no other interfaces and an empty /run. */
function enter(): undefined {
  const script = 'mount -t tmpfs tmpfs /run && exec "$@"';
  const { status } = spawnSync(
    'unshare',
    ['-nm', 'sh', '-c', script, 'sh', process.execPath, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } },
  );
  if (status !== 0) throw new Error('this benchmark makes namespaces and a TUN device: run it as root');
  return undefined;
}

interface Command {
  readonly name: string;
  readonly argv: readonly string[];
  /** Whether to create the benchmark's interface for this command. */
  readonly device?: boolean;
}

function commands(): Command[] {
  const launcher = join(ROOT, 'bin/wgts');
  // `npm run package` puts executables here.
  const packages = join(ROOT, 'dist/package');
  const executable = existsSync(packages)
    ? readdirSync(packages).find(name => /^wgts-.*-linux-/.test(name) && name.endsWith(process.arch))
    : undefined;
  const programs = [
    ['wgts', launcher],
    ...(executable === undefined ? [] : [[executable, join(packages, executable)]]),
  ];
  return programs.flatMap(([name, path]) => [
    { name: `${name} genkey`, argv: [path!, 'genkey'] },
    { name: `${name} show`, argv: [path!, 'show'] },
    { name: `${name} show, one device`, argv: [path!, 'show'], device: true },
  ]);
}

async function measure(all: readonly Command[], runs: number): Promise<StartRow[]> {
  const rows: StartRow[] = [];
  const progress = new Progress(2);
  for (const device of [false, true]) {
    const title = device ? 'with a device' : 'without a device';
    progress.begin(title);
    const stop = device ? await startDevice() : () => {};
    try {
      rows.push(
        ...measureTogether(
          all.filter(command => (command.device ?? false) === device),
          runs,
        ),
      );
    } finally {
      stop();
    }
    progress.end(title, `${runs} runs`);
  }
  progress.finish();
  return rows;
}

function measureTogether(commands: readonly Command[], runs: number): StartRow[] {
  const all = [{ name: 'node -e 0', argv: [process.execPath, '-e', '0'] }, ...commands];
  const times = all.map((): number[] => []);
  for (let run = 0; run < runs; run++) for (const [i, { argv }] of all.entries()) times[i]!.push(timed(argv));
  return all.map(({ name }, i) => ({
    command: name,
    milliseconds: median(times[i]!),
    ratio: ratio(times[i]!, times[0]!)!.paired,
  }));
}

function timed([file, ...args]: readonly string[]): number {
  const begin = performance.now();
  // The launchers use the first `node` on PATH.
  const env = { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH']}` };
  const { status, stderr } = spawnSync(file!, args, { env, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  const milliseconds = performance.now() - begin;
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')} failed: ${stderr}`);
  return milliseconds;
}

async function startDevice(): Promise<() => void> {
  const program = join(ROOT, 'dist/program/wireguard-ts.cjs');
  const child = spawn(process.execPath, [program, '-f', INTERFACE], { stdio: 'ignore' });
  const end = performance.now() + SOCKET_PATIENCE_MS;
  while (!existsSync(`/var/run/wireguard/${INTERFACE}.sock`)) {
    if (child.exitCode !== null || performance.now() > end)
      throw new Error(`wireguard-ts -f ${INTERFACE} did not start`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  // Wait: the device warms up its code at the start, which would compete with the commands.
  await new Promise(resolve => setTimeout(resolve, 2000));
  return () => child.kill('SIGTERM');
}
