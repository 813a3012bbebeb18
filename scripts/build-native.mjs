#!/usr/bin/env node
// Ensures that this machine has an addon. If a prebuilt addon in native/prebuilt loads here and
// matches the C sources, nothing is built. Otherwise this script builds native/build/wireguard.node
// with only the C compiler: no node-gyp, no download; the headers of Node-API are an npm package.
// Without a compiler it prints a warning and succeeds, because everything that needs no TUN device
// works without the addon.
//
// This file and addon/recipe.mjs use only syntax and imports that Node 12 knows: npm runs this file
// with any Node, and node-version.mjs rejects versions that are too old.
//
// Environment: CC (cc), CFLAGS (added), WGTS_REBUILD=1 (always build).
import './node-version.mjs';
import { spawn } from 'node:child_process';
import fs, { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import {
  COMPILE_FLAGS,
  fileHash,
  headers,
  LIBRARIES,
  LINK_FLAGS,
  NATIVE,
  PREBUILT,
  readManifest,
  sources,
  sourcesHash,
  WARNINGS,
} from './addon/recipe.mjs';

const BUILD = join(NATIVE, 'build');
const TARGET = join(BUILD, 'wireguard.node');
/** Stores the sourcesHash() of the sources that the addon in the same folder was built from. */
const BUILT_OF = join(BUILD, 'sources.sha256');
const compiler = process.env.CC || 'cc';

main();

async function main() {
  if (process.platform !== 'linux')
    return console.warn('wireguard-ts: the addon is for Linux only; continuing without it');
  const hash = sourcesHash();
  const always = process.env.WGTS_REBUILD === '1';
  if (!always && existsSync(TARGET) && existsSync(BUILT_OF) && readFileSync(BUILT_OF, 'utf8').trim() === hash) return;
  const problem = prebuiltProblem(hash);
  if (!always && !problem) {
    // Delete the built addon: it comes from other sources, and would be loaded instead of a
    // prebuilt one.
    fs.rmSync(BUILD, { recursive: true, force: true });
    return;
  }
  if (!(await works([compiler, '--version']))) {
    console.warn(`wireguard-ts: ${problem || 'WGTS_REBUILD=1 is set'}, and there is no C compiler (\`${compiler}') to build the addon.
Without it no TUN device can be opened. Install one (apt-get install gcc libc6-dev), then run: node scripts/build-native.mjs`);
    if (always) process.exitCode = 1;
    return;
  }
  const lacking = await lackingHeaders();
  if (lacking) {
    console.error(`wireguard-ts: ${problem || 'WGTS_REBUILD=1 is set'}, and to build the addon ${lacking}`);
    process.exitCode = 1;
    return;
  }
  const objects = join(BUILD, `objects.${process.pid}`);
  mkdirSync(objects, { recursive: true });
  try {
    await build(
      sources().filter(name => name.endsWith('.c')),
      objects,
    );
    writeFileSync(BUILT_OF, `${hash}\n`);
  } catch (error) {
    console.error(`wireguard-ts: the addon was not built: ${error.message}`);
    process.exitCode = 1;
  } finally {
    fs.rmSync(objects, { recursive: true, force: true });
  }
}

/** Returns why no file of native/prebuilt works here, or undefined if one of them works. */
function prebuiltProblem(hash) {
  let manifest;
  try {
    manifest = readManifest();
  } catch (error) {
    return `native/prebuilt cannot be read (${error.message})`;
  }
  if (manifest.sources !== hash) return 'native/prebuilt was not built from the current C sources in native/';
  const mine = Object.keys(manifest.files).filter(name => name.startsWith(`linux-${process.arch}-`));
  const problems = [];
  for (const name of mine) {
    const path = join(PREBUILT, name);
    try {
      if (fileHash(path) !== manifest.files[name]) problems.push(`native/prebuilt/${name} is damaged`);
      else {
        createRequire(import.meta.url)(path);
        return undefined;
      }
    } catch (error) {
      problems.push(`native/prebuilt/${name} cannot be loaded (${error.message})`);
    }
  }
  // The file for the other libc cannot load here, so prefer any other problem.
  return (
    problems.find(text => !/libc\.so/.test(text)) || problems[0] || `native/prebuilt has no addon for ${process.arch}`
  );
}

/**
 * Returns what to do about missing headers, or undefined if none are missing. Without this check
 * the compiler would report them once per file.
 */
async function lackingHeaders() {
  try {
    headers();
  } catch {
    return "Node-API's headers are missing: run npm ci";
  }
  const includes = ['stdio.h', 'linux/if_tun.h'].flatMap(name => ['-include', name]);
  if (await works([compiler, '-x', 'c', '-fsyntax-only', ...includes, '/dev/null'])) return undefined;
  return `the headers of the C library or of Linux are missing. Install them (apt-get install libc6-dev, or apk add musl-dev linux-headers), then run: node scripts/build-native.mjs`;
}

async function build(units, folder) {
  const extra = (process.env.CFLAGS || '').split(' ').filter(Boolean);
  const waiting = units.map(name => [
    compiler,
    ...COMPILE_FLAGS,
    // For backtraces with line numbers.
    '-g1',
    ...WARNINGS,
    ...extra,
    `-I${headers()}`,
    '-c',
    join(NATIVE, name),
    '-o',
    join(folder, `${name}.o`),
  ]);
  await Promise.all(
    Array.from({ length: Math.min(os.availableParallelism(), 8) }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await run(next);
    }),
  );
  const linked = join(folder, 'wireguard.node');
  const objects = units.map(name => join(folder, `${name}.o`));
  await run([compiler, ...LINK_FLAGS, ...extra, '-o', linked, ...objects, ...LIBRARIES]);
  // Rename at the end, so that no process ever loads an incomplete file.
  renameSync(linked, TARGET);
}

function run([program, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', code => (code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')} failed`))));
  });
}

function works([program, ...args]) {
  return new Promise(resolve => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.on('error', () => resolve(false));
    child.on('exit', code => resolve(code === 0));
  });
}
