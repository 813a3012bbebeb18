// The inner process of a demo, inside its namespaces. It mounts a separate /run for all files, runs
// the scenario, and ends as soon as the outer process is gone.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Failure } from './failure.mjs';
import { Screen } from './screen.mjs';

const ROOT = realpathSync(fileURLToPath(new URL('../..', import.meta.url)));
const LIFELINE = 3;
/** Existing folders whose content is not needed. A mount is prepared in one of them, then moved. */
const STAGES = ['/mnt', '/media', '/srv', '/opt', '/home'];

const lifeline = new Socket({ fd: LIFELINE, readable: true, writable: true });
lifeline
  .on('end', () => process.exit(1))
  .on('close', () => process.exit(1))
  .on('error', () => process.exit(1));
lifeline.resume();

let status = 1;
try {
  await mountRun();
  lifeline.write('started\n');
  const { run } = await import(`./${basename(process.argv[2])}`);
  const screen = new Screen({
    columns: Number(process.env.WGTS_DEMO_COLUMNS),
    color: process.env.WGTS_DEMO_COLOR === '1',
    write: text => process.stdout.write(text),
  });
  await run(screen);
  if (screen.failed.length === 0) status = 0;
  else
    process.stderr.write(
      `\n${screen.wrap(`FAILED: ${screen.failed.join('; ')}. Run it again; if it fails again, please report it with these lines.`)}\n`,
    );
} catch (error) {
  const isKnown = error instanceof Failure;
  const text = isKnown
    ? error.message
    : `${error.message}; run it again, and report it with this stack:\n${error.stack}`;
  process.stderr.write(`wireguard-ts demo: ${text}\n`);
}
// The streams are pipes, so their output has been written when these callbacks run.
process.stdout.write('', () =>
  process.stderr.write('', () => lifeline.write(`done ${status}\n`, () => process.exit(status))),
);

/**
 * Mounts a /run in memory, so that control sockets, keys and logs vanish with the namespace. If the
 * project or Node is inside the real /run, it stays visible.
 */
async function mountRun() {
  const run = realpathSync('/run');
  const hidden = [ROOT, realpathSync(dirname(process.execPath))].filter(path => path.startsWith(`${run}/`));
  if (hidden.length === 0) await mount('-t', 'tmpfs', '-o', 'mode=755', 'demo', run);
  else {
    const stage = STAGES.find(path => existsSync(path) && !hidden.some(each => each.startsWith(`${path}/`)));
    await mount('-t', 'tmpfs', '-o', 'mode=755', 'demo', stage);
    for (const path of hidden) {
      const inside = join(stage, path.slice(run.length));
      mkdirSync(inside, { recursive: true });
      await mount('--rbind', path, inside);
    }
    await mount('--rbind', stage, run);
  }
  mkdirSync('/run/demo');
}

async function mount(...args) {
  try {
    await promisify(execFile)('mount', ['-n', ...args]);
  } catch (error) {
    if (error.code === 'ENOENT') throw new Failure('mount is missing: apt-get install mount');
    lifeline.write(`refused ${String(error.stderr).trim().split('\n')[0] || `mount ${args.join(' ')} failed`}\n`, () =>
      process.exit(1),
    );
    await new Promise(() => {});
  }
}
