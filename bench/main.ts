/** `npm run bench`: hands the options to the benchmark that was asked for. The others are loaded only when they are wanted. */
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { runTunnel } from './tunnel/main.ts';

type Run = (options: BenchOptions) => Promise<void> | void;

/** Modules by word, with the name of what they export. */
const OTHERS: Readonly<Record<string, readonly [path: string, entry: string]>> = {
  micro: ['./micro/main.js', 'runMicro'],
  'kernel-vm': ['./kernel-vm/main.js', 'runKernelVm'],
};

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) process.stdout.write(USAGE);
else {
  const options = parseOptions(args);
  if (typeof options === 'string') stop(`${options}\n\n${USAGE}`);
  else await run(options).catch((error: Error) => stop(error.message));
}

async function run(options: BenchOptions): Promise<void> {
  if (options.word === 'tunnel') return runTunnel(options);
  const other = OTHERS[options.word];
  if (!other) return stop(`there is no benchmark ${options.word}\n\n${USAGE}`);
  const [path, entry] = other;
  const found = (await import(new URL(path, import.meta.url).href)) as Record<string, Run | undefined>;
  const start = found[entry];
  if (!start) return stop(`${path} has no ${entry}`);
  await start(options);
}

function stop(message: string): void {
  process.stderr.write(`wireguard-ts bench: ${message}\n`);
  process.exitCode = 1;
}
