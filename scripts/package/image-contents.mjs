// Defines the files of the image other than Node and the system's libraries. deploy/assemble.mjs,
// which takes this machine's libraries, and the archive of a release (image-tree.mjs), which takes
// pinned ones, share this file.
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
import { imageNotices } from './notices.mjs';
import { NAME, ROOT } from './release.mjs';
import { sbom } from './sbom.mjs';

/** The program's folder in the image. */
const HOME = '/opt/wireguard-ts';
/** Node's path in the image. */
export const NODE = '/usr/bin/node';

/** Copies a file to a path in the image. @param folder the image's tree */
export function putFile(folder, from, to, mode = 0o644) {
  const target = join(folder, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(realpathSync(from), target);
  chmodSync(target, mode);
}

/**
 * Puts the bundle, package.json, the two commands and the addon into the tree. @param addon path
 * relative to the repository's root
 */
export function putProgram(folder, addon) {
  cpSync(join(ROOT, 'dist/program'), join(folder, HOME, 'dist/program'), { recursive: true });
  for (const name of [addon, 'package.json', 'LICENSE']) putFile(folder, join(ROOT, name), join(HOME, name));
  mkdirSync(join(folder, '/usr/bin'), { recursive: true });
  for (const name of ['wgts', 'wireguard-ts']) {
    const script = join(HOME, `dist/program/${name}.cjs`);
    const path = join(folder, script);
    // The launchers in bin/ need a shell, and the image has neither a shell nor env(1). So this
    // line passes Node the option that the launchers pass.
    const shebang = `#!${NODE} --inspect-port=[fe80::1]:9229`;
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^#!.*/, shebang));
    chmodSync(path, 0o755);
    symlinkSync(`../..${script}`, join(folder, '/usr/bin', name));
  }
}

/** Adds the licences of everything in the image, and its bill of materials. */
export function putDocuments(folder, inventory, epoch) {
  const at = join(folder, 'usr/share/doc', NAME);
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, 'THIRD-PARTY-NOTICES'), imageNotices(inventory));
  writeFileSync(join(at, 'sbom.cdx.json'), sbom(inventory, epoch));
}

/** Adds what programs expect from a system: a user entry for root, and folders to mount on. */
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
