#!/usr/bin/env node
// `npm run prebuild` compiles the addon for each platform into native/prebuilt, with the pinned
// cross compiler. `npm run prebuild -- --check` compiles it into a temporary folder, and fails
// unless native/prebuilt holds the same bytes.
//
// The result does not depend on this machine: the compiler brings its own libc headers and
// libraries.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE } from './addon/cache.mjs';
import {
  COMPILE_FLAGS,
  fileHash,
  headers,
  headersVersion,
  LIBRARIES,
  LINK_FLAGS,
  NATIVE,
  PREBUILT,
  sources,
  sourcesHash,
  WARNINGS,
} from './addon/recipe.mjs';
import { COMPILER, zig } from './addon/zig.mjs';

/** glibc 2.28 is the oldest that Node itself supports. */
const TARGETS = {
  'linux-x64-glibc': 'x86_64-linux-gnu.2.28',
  'linux-x64-musl': 'x86_64-linux-musl',
  'linux-arm64-glibc': 'aarch64-linux-gnu.2.28',
  'linux-arm64-musl': 'aarch64-linux-musl',
};
const FLAGS = [
  ...COMPILE_FLAGS,
  ...LINK_FLAGS,
  // Omit names and the build ID, which could differ between machines.
  '-s',
  '-Wl,--build-id=none',
  // Allow undefined symbols, which the linker otherwise rejects: Node provides them.
  '-Wl,-z,undefs',
  '-Werror',
  ...WARNINGS,
  // NLMSG_OK in the compiler's own Linux headers causes this warning.
  '-Wno-sign-compare',
];

const args = process.argv.slice(2);
if (args.some(arg => arg !== '--check')) {
  console.error('Usage: npm run prebuild [-- --check]');
  process.exit(2);
}
const check = args.includes('--check');
if (args.length === 0 && isHookOfBuild()) process.exit(0);
const work = mkdtempSync(join(tmpdir(), 'wgts-prebuild-'));
try {
  const out = check ? join(work, 'prebuilt') : PREBUILT;
  mkdirSync(out, { recursive: true });
  build(out);
  if (check) compare(out);
} catch (error) {
  console.error(`prebuild: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

/**
 * Returns whether npm runs this script as a hook of `build`: before a script `build`, npm also runs
 * one that is named `prebuild`. The two cases differ only in npm's process title, which is its
 * command line. A build must not need the cross compiler.
 */
function isHookOfBuild() {
  if (process.env.npm_lifecycle_event !== 'prebuild') return false;
  // The parent is npm itself, or a shell that npm started.
  for (let pid = process.ppid, up = 0; pid > 1 && up < 3; up++) {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]+/);
    if (/(^|\/)npm(-cli\.js)?$/.test(words.find(word => !/(^|\/)node$/.test(word)) ?? ''))
      return !words.includes('prebuild');
    pid = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  }
  return false;
}

function build(out) {
  const compiler = zig();
  const units = sources().filter(name => name.endsWith('.c'));
  const files = {};
  for (const [name, target] of Object.entries(TARGETS)) {
    const file = join(out, `${name}.node`);
    compile(compiler, ['-target', target, ...FLAGS, '-isystem', headers(), '-o', file, ...units, ...LIBRARIES]);
    chmodSync(file, 0o644);
    files[`${name}.node`] = fileHash(file);
    if (!check) console.log(`${name}.node: ${Math.round(statSync(file).size / 1024)} KiB`);
  }
  const manifest = {
    compiler: COMPILER,
    headers: headersVersion(),
    targets: TARGETS,
    flags: FLAGS,
    sources: sourcesHash(),
    files,
  };
  writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

function compile(compiler, rest) {
  const { PATH, HOME } = process.env;
  const { status, error } = spawnSync(compiler, ['cc', ...rest], {
    // File names without a path, so that the output does not depend on the folder.
    cwd: NATIVE,
    stdio: ['ignore', 2, 2],
    // Without CPATH and other variables that affect a compiler.
    env: { PATH, HOME, ZIG_GLOBAL_CACHE_DIR: join(CACHE, 'zig'), ZIG_LOCAL_CACHE_DIR: join(work, 'zig') },
  });
  if (error || status !== 0) throw new Error(`zig cc ${rest.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

function compare(out) {
  const names = new Set([...readdirSync(out), ...readdirSync(PREBUILT)]);
  const differing = [...names].filter(name => {
    const [fresh, standing] = [join(out, name), join(PREBUILT, name)].map(path => readOrNothing(path));
    return !fresh || !standing || !fresh.equals(standing);
  });
  if (differing.length > 0)
    throw new Error(`native/prebuilt does not match its sources (${differing.join(', ')}); run: npm run prebuild`);
  console.log(`native/prebuilt: ${names.size - 1} addons match the output of ${COMPILER} for native/*.c`);
}

function readOrNothing(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
