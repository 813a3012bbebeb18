// Lists what an image contains that is made of this machine's own Node and libraries
// (deploy/assemble.mjs), in the form of inventory().
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hashOf } from './cache.mjs';
import { bundle, partsOf } from './inventory.mjs';

/** Where distributions of Node put their licence, from the folder above `bin`. */
const LICENCES = ['LICENSE', 'share/doc/nodejs/copyright', 'share/doc/node/LICENSE'];
// biome-ignore lint/suspicious/noTemplateCurlyInString: these are dpkg-query's own placeholders.
const FORMAT = '-f=${Version} ${Architecture}';
const COPYRIGHTS = '/usr/share/doc';
/** The licences of libraries that Node needs, by the start of the package's name. */
const KNOWN = [
  [/^libc6|^glibc/, 'LGPL-2.1-or-later'],
  [/^libstdc|^libgcc/, 'GPL-3.0-or-later WITH GCC-exception-3.1'],
];

/**
 * Returns the inventory.
 * @param addon path of the addon
 * @param libraries paths of the shared libraries, without libIPSec_MB
 * @param ipsecMb path of libIPSec_MB, if it is in the image
 */
export function ownInventory({ addon, libraries, ipsecMb }) {
  const arch = process.arch;
  return {
    node: {
      version: process.versions.node,
      parts: partsOf(process.versions),
      hashes: [{ arch, sha256: hashOf(realpathSync(process.execPath)) }],
      licence: nodeLicence(),
    },
    ...bundle(),
    addons: [{ arch, sha256: hashOf(addon) }],
    ...(ipsecMb && { ipsecMb: { ...packageOf(ipsecMb), package: packageOf(ipsecMb).name } }),
    debian: unique(libraries.map(packageOf)),
  };
}

function nodeLicence() {
  const top = dirname(dirname(realpathSync(process.execPath)));
  const found = LICENCES.map(name => join(top, name)).find(path => existsSync(path));
  if (found) return readFileSync(found, 'utf8');
  const tag = `v${process.versions.node}`;
  return `This Node came without its licence. It is LICENSE of https://github.com/nodejs/node/tree/${tag}.\n`;
}

/** Describes the package of a file, as dpkg knows it. A file of no package stands for itself. */
function packageOf(path) {
  const real = realpathSync(path);
  // With a merged /usr, dpkg knows a file by either name.
  const names = [path, real, ...[path, real].map(each => each.replace(/^\/usr/, '')), `/usr${path}`];
  const said = names
    .map(name => spawnSync('dpkg-query', ['-S', name], { encoding: 'utf8' }))
    .find(ran => ran.status === 0);
  const [owner = real] = /^[^:,]+/.exec(said?.stdout ?? '') ?? [];
  const shown = said && spawnSync('dpkg-query', ['-W', FORMAT, owner], { encoding: 'utf8' });
  const [version = 'unknown', architecture = process.arch] = shown?.stdout.split(' ') ?? [];
  const copyright = join(COPYRIGHTS, owner, 'copyright');
  return {
    name: owner,
    version,
    architecture,
    suite: 'debian',
    sha256: hashOf(real),
    licence: KNOWN.find(([pattern]) => pattern.test(owner))?.[1] ?? 'LicenseRef-see-notices',
    copyright: existsSync(copyright)
      ? readFileSync(copyright, 'utf8')
      : `${real}: no copyright file on the machine that made this image\n`,
  };
}

function unique(packages) {
  return [...new Map(packages.map(each => [each.name, each])).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
