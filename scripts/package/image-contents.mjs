// What the image holds beside Node and the system's libraries: the same in deploy/assemble.mjs, which takes this machine's, and in the
// archive of a release (image-tree.mjs), which takes pinned ones.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Where the program is in the image. */
const HOME = '/opt/wireguard-ts';
/** Where Node is. */
export const NODE = '/usr/bin/node';

/** Copies a file to a path of the image whose tree is in `folder`. */
export function putFile(folder, from, to, mode = 0o644) {
  const target = join(folder, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(realpathSync(from), target);
  chmodSync(target, mode);
}

/** Puts the bundle, the addon (a path below the repository's root), package.json and the two commands into the tree. */
export function putProgram(folder, addon) {
  cpSync(join(ROOT, 'dist/program'), join(folder, HOME, 'dist/program'), { recursive: true });
  for (const name of [addon, 'package.json', 'LICENSE']) putFile(folder, join(ROOT, name), join(HOME, name));
  mkdirSync(join(folder, '/usr/bin'), { recursive: true });
  for (const name of ['wgts', 'wireguard-ts']) {
    const script = join(HOME, `dist/program/${name}.cjs`);
    const path = join(folder, script);
    // there is neither env(1) nor a shell for the launchers in bin/, whose option this is
    const shebang = `#!${NODE} --inspect-port=[fe80::1]:9229`;
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^#!.*/, shebang));
    chmodSync(path, 0o755);
    symlinkSync(`../..${script}`, join(folder, '/usr/bin', name));
  }
}

/** Puts what programs expect of a system: who root is, and folders to mount on. */
export function putSystem(folder) {
  const at = path => join(folder, path);
  for (const name of ['/dev/net', '/proc', '/sys', '/tmp', '/var/lib/wireguard-ts', '/var/run/wireguard'])
    mkdirSync(at(name), { recursive: true });
  chmodSync(at('/tmp'), 0o1777);
  mkdirSync(at('/etc'), { recursive: true });
  writeFileSync(at('/etc/passwd'), 'root:x:0:0:root:/:/nonexistent\n');
  writeFileSync(at('/etc/group'), 'root:x:0:\n');
  writeFileSync(at('/etc/nsswitch.conf'), 'hosts: files dns\n');
}
