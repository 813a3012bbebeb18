#!/usr/bin/env node
// assemble.mjs FOLDER   puts the whole file tree of the image into FOLDER: this Node, the shared libraries that it, the addon and the optional
// AEAD library need, the bundled programs (scripts/bundle.mjs), and the addon. Nothing else: no shell, no package manager.
//
// The Dockerfile copies that folder into an empty image, the tests run it under chroot. Both call this file, so they cannot differ.
// Wants a clone that is ready to run (scripts/ready.mjs), and takes the machine's own architecture.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Where the program is in the image. */
const HOME = '/opt/wireguard-ts';
const NODE = '/usr/bin/node';
/** What the loader searches without a cache. */
const SEARCHED = /^\/(usr\/)?lib(64)?\//;

const folder = process.argv[2];
if (folder === undefined || process.argv.length > 3) fail('Usage: assemble.mjs FOLDER');
if (existsSync(folder) && readdirSync(folder).length > 0) fail(`${folder} is not empty`);
for (const [path, how] of [
  [join(ROOT, 'dist/cli/wgts.js'), 'npm run build'],
  [join(ROOT, 'dist/program/wgts.cjs'), 'npm run build'],
])
  if (!existsSync(path)) fail(`${path} is missing; make it by: ${how}`);
const { addonPath } = await import('../dist/io/native-binding.js');
const addon = addonPath();

program();
const ipsecMb = newestIpsecMb();
libraries([process.execPath, addon, ...(ipsecMb ? [ipsecMb] : [])]);
if (ipsecMb) put(ipsecMb, ipsecMb);
put(realpathSync(process.execPath), NODE, 0o755);
system();
console.log(`${folder}: ${ipsecMb ? `with ${basename(ipsecMb)}` : 'without libIPSec_MB (OpenSSL seals the packets)'}`);

/** The bundle, the addon, package.json, and the two commands. */
function program() {
  cpSync(join(ROOT, 'dist/program'), at(join(HOME, 'dist/program')), { recursive: true });
  put(addon, join(HOME, relative(ROOT, addon)));
  for (const name of ['package.json', 'LICENSE']) put(join(ROOT, name), join(HOME, name));
  mkdirSync(at('/usr/bin'), { recursive: true });
  for (const name of ['wgts', 'wireguard-ts']) {
    const script = join(HOME, `dist/program/${name}.cjs`);
    // there is neither env(1) nor a shell for the launchers in bin/, whose option this is
    const shebang = `#!${NODE} --inspect-port=[fe80::1]:9229`;
    writeFileSync(at(script), readFileSync(at(script), 'utf8').replace(/^#!.*/, shebang));
    chmodSync(at(script), 0o755);
    symlinkSync(`../..${script}`, at(`/usr/bin/${name}`));
  }
}

/** Newest of those that the linker knows: the addon opens it by name if it is there. */
function newestIpsecMb() {
  const { stdout } = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' });
  const found = [...(stdout ?? '').matchAll(/libIPSec_MB\.so\.(\d+) .*=> (\S+)/g)];
  return found.sort((a, b) => Number(b[1]) - Number(a[1]))[0]?.[2];
}

function libraries(programs) {
  for (const path of programs) {
    const { stdout, status, error } = spawnSync('ldd', [path], { encoding: 'utf8' });
    if (error || status !== 0) fail(`ldd ${path} failed${error ? `: ${error.message}` : ''}`);
    if (/not found/.test(stdout)) fail(`${path} lacks a library:\n${stdout}`);
    // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)", and the loader itself: "/lib64/ld-linux-x86-64.so.2 (0x...)"
    for (const [, library] of stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm))
      put(library, SEARCHED.test(library) ? library : join('/usr/lib', basename(library)), 0o755);
  }
}

/** What programs expect of a system: who root is, and folders to mount on. */
function system() {
  for (const name of ['/dev/net', '/proc', '/sys', '/tmp', '/var/lib/wireguard-ts', '/var/run/wireguard'])
    mkdirSync(at(name), { recursive: true });
  chmodSync(at('/tmp'), 0o1777);
  mkdirSync(at('/etc'), { recursive: true });
  writeFileSync(at('/etc/passwd'), 'root:x:0:0:root:/:/nonexistent\n');
  writeFileSync(at('/etc/group'), 'root:x:0:\n');
  writeFileSync(at('/etc/nsswitch.conf'), 'hosts: files dns\n');
}

function put(from, to, mode = 0o644) {
  mkdirSync(dirname(at(to)), { recursive: true });
  copyFileSync(realpathSync(from), at(to));
  chmodSync(at(to), mode);
}

function at(path) {
  return join(folder, path);
}

function fail(message) {
  console.error(`assemble: ${message}`);
  process.exit(1);
}
