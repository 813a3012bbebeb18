// Makes a clone ready to run: dependencies, the addon, the compiled TypeScript. Does only what is not done yet. Of several that want it at once,
// one does it and the others wait.
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../demo/failure.mjs';
import { lock } from '../lock.mjs';
import { runGuarded } from './guarded.mjs';
import { withProgress } from './progress.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OLDEST = [20, 19];
/** npm tries for minutes otherwise where the registry does not answer. */
const NPM = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=1', '--fetch-retry-mintimeout=1000'];

/**
 * @param signal aborts it; whatever it has started is ended first
 * @throws Failure; the reason of `signal`
 */
export async function makeReady({ signal } = {}) {
  checkSystem();
  const isWritable = mayWrite(ROOT);
  if (!isWritable && !(isInstalled() && isCompiled()))
    throw new Failure(
      `this clone is not built yet and ${process.getuid() === 0 ? 'is read-only' : 'this user may not write to it'}: as its owner run npm ci && npm run build, or make a clone of your own`,
    );
  if (!isWritable) return;
  const onWait = () => process.stderr.write('wireguard-ts: waiting for another run that makes this clone ready ...\n');
  const unlock = await lock(ROOT, { onWait, signal });
  try {
    signal?.throwIfAborted();
    if (!isInstalled()) {
      // npm would try for more than a minute
      if (
        Object.values(networkInterfaces())
          .flat()
          .every(address => address.internal)
      )
        throw new Failure(
          'the dependencies are not installed, and there is no network here: run npm ci where there is one',
        );
      await step('installing dependencies (npm ci)', 'npm', NPM, signal, 'check the network, then run it again');
    }
    const addon = [join(ROOT, 'scripts/build-native.mjs')];
    await step('looking for the addon', process.execPath, addon, signal, 'see above', true);
    const compile = [join(ROOT, 'scripts/compile.mjs')];
    await step('compiling', process.execPath, compile, signal, 'run npm ci, then again', isCompiled());
    const bundle = [join(ROOT, 'scripts/bundle.mjs')];
    await step('bundling', process.execPath, bundle, signal, 'run npm ci, then again', isCompiled());
  } finally {
    await unlock();
  }
}

function checkSystem() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw new Failure(
      `Node ${process.versions.node} is too old: ${OLDEST.join('.')} or newer is needed (npm install -g n && n lts, or https://nodejs.org)`,
    );
  if (process.platform !== 'linux')
    throw new Failure('wireguard-ts is for Linux: it needs TUN devices and network namespaces');
}

async function step(what, program, args, signal, remedy, isQuiet = false) {
  const run = () => runGuarded(program, args, { cwd: ROOT, signal });
  const { status, output } = await (isQuiet ? run() : withProgress(what, run));
  if (status === 0) {
    if (isQuiet && output) process.stderr.write(output);
    return;
  }
  const said = output.trim().split('\n').slice(-12).join('\n');
  if (said) process.stderr.write(`${said}\n`);
  throw new Failure(`${what} failed (${status}): ${remedy}`);
}

/** What npm itself leaves behind when an installation is whole. */
function isInstalled() {
  const mark = join(ROOT, 'node_modules/.package-lock.json');
  return existsSync(mark) && modified(mark) >= modified(join(ROOT, 'package-lock.json'));
}

/** Compiled since the sources were changed, as far as times tell. */
function isCompiled() {
  const marks = ['.pure', '.node', '.bench', '.test'].map(name => join(ROOT, `dist/${name}.tsbuildinfo`));
  // written last
  marks.push(join(ROOT, 'dist/program/THIRD-PARTY-LICENSES.txt'));
  if (!marks.every(existsSync)) return false;
  const oldest = Math.min(...marks.map(modified));
  return ['src', 'bench', 'test'].every(folder =>
    readdirSync(join(ROOT, folder), { recursive: true }).every(
      name => !name.endsWith('.ts') || modified(join(ROOT, folder, name)) <= oldest,
    ),
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
