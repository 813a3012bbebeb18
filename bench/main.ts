/** `npm run bench`: passes the options to the requested benchmark, and loads only that one. */
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { saveRows } from './report.ts';
import { runTunnel } from './tunnel/main.ts';

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) process.stdout.write(USAGE);
else {
  const options = parseOptions(args);
  if (typeof options === 'string') stop(`${options}\n\n${USAGE}`);
  else await run(options).catch((error: Error) => stop(error.message));
}

async function run(options: BenchOptions): Promise<void> {
  switch (options.word) {
    case 'tunnel':
      return runTunnel(options);
    case 'micro':
      return saveRows('micro', (await import('./micro/main.ts')).runMicro(options));
    case 'pipeline':
      return saveRows('pipeline', (await import('./pipeline/main.ts')).runPipeline(options));
    case 'heap':
      return saveRows('heap', await (await import('./heap/main.ts')).runHeap(options));
    case 'start': {
      const rows = await (await import('./start/main.ts')).runStart(options);
      if (rows) saveRows('start', rows);
      return;
    }
    case 'calico-size':
      return saveRows('calico-size', (await import('./calico/main.ts')).runCalicoSize(options));
    case 'scale':
      return saveRows('scale', await (await import('./scale/main.ts')).runScale(options.command, options.runs));
    case 'kernel-vm':
      await (await import('./kernel-vm/main.ts')).runKernelVm(options);
      return;
    case 'readme':
      return (await import('./front-page.ts')).writeFrontPages();
    default:
      return stop(`there is no benchmark ${options.word}\n\n${USAGE}`);
  }
}

function stop(message: string): void {
  process.stderr.write(`wireguard-ts bench: ${message}\n`);
  process.exitCode = 1;
}
