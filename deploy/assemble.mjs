#!/usr/bin/env node
// `assemble.mjs FOLDER` puts the whole file tree of the image into FOLDER: this Node, the bundled
// programs (scripts/bundle.mjs), the addon, the shared libraries that Node, the addon and the
// optional AEAD library need, their licences and a bill of materials (with the time of
// SOURCE_DATE_EPOCH, if set). It adds no shell and no package manager.
//
// The Dockerfile copies that folder into an empty image, and the tests run it under chroot, so both
// use the same files. This script needs a clone that is ready to run (scripts/ready.mjs); the image
// is for this machine's architecture.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE, putDocuments, putFile, putProgram, putSystem } from '../scripts/package/image-contents.mjs';
import { ownInventory } from '../scripts/package/own-inventory.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Folders that the loader searches even without a cache. */
const SEARCHED = /^\/(usr\/)?lib(64)?\//;

const folder = process.argv[2];
if (folder === undefined || process.argv.length > 3) fail('Usage: assemble.mjs FOLDER');
if (existsSync(folder) && readdirSync(folder).length > 0) fail(`${folder} is not empty`);
for (const [path, how] of [
  [join(ROOT, 'dist/cli/wgts.js'), 'npm run build'],
  [join(ROOT, 'dist/program/wgts.cjs'), 'npm run build'],
])
  if (!existsSync(path)) fail(`${path} is missing; run: ${how}`);
const { addonPath } = await import('../dist/io/native-binding.js');
const addon = addonPath();

putProgram(folder, relative(ROOT, addon));
const ipsecMb = newestIpsecMb();
const used = libraries([process.execPath, addon, ...(ipsecMb ? [ipsecMb] : [])]);
for (const library of used) {
  const at = SEARCHED.test(library) ? library : join('/usr/lib', basename(library));
  putFile(folder, library, at, basename(library).startsWith('ld-') ? 0o755 : 0o644);
}
if (ipsecMb) putFile(folder, ipsecMb, ipsecMb);
putFile(folder, process.execPath, NODE, 0o755);
putSystem(folder);
putDocuments(folder, ownInventory({ addon, libraries: used, ipsecMb }), Number(process.env.SOURCE_DATE_EPOCH ?? 0));
console.log(`${folder}: ${ipsecMb ? `with ${basename(ipsecMb)}` : 'without libIPSec_MB (OpenSSL seals the packets)'}`);

/**
 * Returns the newest version of libIPSec_MB that the linker knows, which the addon opens by name.
 */
function newestIpsecMb() {
  const { stdout } = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' });
  const found = [...(stdout ?? '').matchAll(/libIPSec_MB\.so\.(\d+) .*=> (\S+)/g)];
  return found.sort((a, b) => Number(b[1]) - Number(a[1]))[0]?.[2];
}

/** Returns the shared libraries of the programs, and the loader. */
function libraries(programs) {
  const found = new Set();
  for (const path of programs) {
    const { stdout, status, error } = spawnSync('ldd', [path], { encoding: 'utf8' });
    if (error || status !== 0) fail(`ldd ${path} failed${error ? `: ${error.message}` : ''}`);
    if (/not found/.test(stdout)) fail(`${path} lacks a library:\n${stdout}`);
    // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)", and the loader itself:
    // "/lib64/ld-linux-x86-64.so.2 (0x...)"
    for (const [, library] of stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)) found.add(library);
  }
  return [...found].sort();
}

function fail(message) {
  console.error(`assemble: ${message}`);
  process.exit(1);
}
