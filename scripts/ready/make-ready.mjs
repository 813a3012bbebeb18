// Makes a clone ready to run: installs dependencies, finds or builds the addon, compiles the
// TypeScript. Does only what is missing. If several processes need this at the same time, one does
// the work and the others wait.
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../demo/failure.mjs';
import { lock } from '../lock.mjs';
import { runGuarded } from './guarded.mjs';
import { withProgress } from './progress.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Limits the retries: by default npm tries for minutes if the registry does not answer. */
const NPM = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=1', '--fetch-retry-mintimeout=1000'];

/**
 * Folders that a plain user's PATH may lack, and that an empty environment always lacks. npm is in
 * the same folder as node.
 */
const SYSTEM_FOLDERS = [dirname(process.execPath), '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Adds the folders of common programs to PATH. */
export function completePath() {
  const { PATH } = process.env;
  if (PATH?.endsWith(SYSTEM_FOLDERS.join(delimiter))) return;
  process.env.PATH = [...(PATH ? PATH.split(delimiter) : []), ...SYSTEM_FOLDERS].join(delimiter);
}

/**
 * Makes the clone ready.
 * @param signal aborts the work, after everything that it started has ended
 * @throws Failure; the reason of `signal`
 */
export async function makeReady({ signal: ended } = {}) {
  checkSystem();
  completePath();
  const isWritable = mayWrite(ROOT);
  if (!isWritable && !(isInstalled() && isCompiled()))
    throw new Failure(
      `this clone is not built, and ${process.getuid() === 0 ? 'it is read-only' : 'this user may not write to it'}: run npm ci && npm run build as its owner, or make your own clone`,
    );
  if (!isWritable) return;
  const onWait = () => process.stderr.write('wireguard-ts: waiting for another run that makes this clone ready ...\n');
  const lost = new AbortController();
  const onLost = () => lost.abort(new Failure('it was killed from outside; run it again'));
  const signal = AbortSignal.any([lost.signal, ...(ended ? [ended] : [])]);
  const unlock = await lock(ROOT, { onWait, onLost, signal });
  try {
    signal.throwIfAborted();
    if (!isInstalled()) {
      // Fail now: npm would keep trying for more than a minute.
      if (
        Object.values(networkInterfaces())
          .flat()
          .every(address => address.internal)
      )
        throw new Failure(
          'the dependencies are not installed, and there is no network here: run npm ci where there is one',
        );
      await step('installing dependencies (npm ci)', 'npm', NPM, 'check the network, then run it again', signal);
    }
    const node = async (what, script) =>
      step(what, process.execPath, [join(ROOT, 'scripts', script)], 'run npm ci, then run it again', signal);
    await node('looking for the addon', 'build-native.mjs');
    await node('compiling', 'compile.mjs');
    await node('bundling', 'bundle.mjs');
  } finally {
    await unlock();
  }
}

function checkSystem() {
  if (process.platform !== 'linux')
    throw new Failure('wireguard-ts is for Linux: it needs TUN devices and network namespaces');
}

async function step(what, program, args, remedy, signal) {
  const { status, output } = await withProgress(what, () => runGuarded(program, args, { cwd: ROOT, signal }));
  const text = output.trim();
  // Show npm's warnings, but not its statistics.
  if (text && (status !== 0 || program !== 'npm')) process.stderr.write(`${text.split('\n').slice(-12).join('\n')}\n`);
  if (status !== 0) throw new Failure(`${what} failed (${status}): ${remedy}`);
}

/**
 * Returns whether the dependencies are installed: npm writes this file at the end of an
 * installation.
 */
function isInstalled() {
  const mark = join(ROOT, 'node_modules/.package-lock.json');
  return existsSync(mark) && modified(mark) >= modified(join(ROOT, 'package-lock.json'));
}

/** Returns whether the output is newer than the sources, judged by the files' times. */
function isCompiled() {
  // This file is written last.
  const made = statSync(join(ROOT, 'dist/program/THIRD-PARTY-LICENSES.txt'), { throwIfNoEntry: false })?.mtimeMs;
  const folder = join(ROOT, 'src');
  return (
    made !== undefined && readdirSync(folder, { recursive: true }).every(name => modified(join(folder, name)) <= made)
  );
}

function mayWrite(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function modified(path) {
  return statSync(path).mtimeMs;
}
