// Lays out the file tree of a release's image, for any architecture: as deploy/assemble.mjs does,
// but from pinned parts instead of this machine's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackage } from './debian.mjs';
import { NODE, putDocuments, putFile, putProgram, putSystem } from './image-contents.mjs';
import { ipsecMb } from './ipsec-mb.mjs';
import { officialNode, run } from './node.mjs';
import { ROOT } from './release.mjs';

/**
 * Libraries of Debian 12 in its final state: exactly those that Node is linked with. Update
 * versions and hashes together.
 */
const LIBRARIES = [
  {
    package: 'libc6',
    version: '2.36-9+deb12u14',
    sha256: {
      amd64: 'ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf',
      arm64: '01f4330719fd4f65580e16ea5a0527f372fca750e8f588d26deaf09f2d3b1cf4',
    },
    licence: 'LGPL-2.1-or-later',
    files: ['libc', 'libm', 'libdl', 'libpthread'],
  },
  {
    package: 'libstdc++6',
    version: '12.2.0-14+deb12u1',
    sha256: {
      amd64: '5cd3171216d4ab0fc911cfe9c35509bf2dd8f47761c43b7f6a4296701551a24d',
      arm64: '26e138c677a985775331373828a6c286c551ff397cb735d00e2383cb273d1cb2',
    },
    licence: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    files: ['libstdc++'],
  },
  {
    package: 'libgcc-s1',
    version: '12.2.0-14+deb12u1',
    sha256: {
      amd64: '3016e62cb4b7cd8038822870601f5ed131befe942774d0f745622cc77d8a88f7',
      arm64: '576926b283613db80168ddf76380a3bd877602778cf0d226caa7bfbfa71eacf3',
    },
    licence: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    files: ['libgcc_s'],
  },
];
const LOADERS = { x64: 'lib64/ld-linux-x86-64.so.2', arm64: 'lib/ld-linux-aarch64.so.1' };

/** Returns the image's Debian libraries, for the bill of materials. */
export function imageLibraries(architectures) {
  return architectures.flatMap(({ deb }) =>
    LIBRARIES.map(({ package: name, version, sha256, licence }) => ({
      name,
      version,
      suite: 'bookworm',
      architecture: deb,
      sha256: sha256[deb],
      licence,
    })),
  );
}

/**
 * Lays out the tree.
 * @param folder an empty folder for it
 * @param work an empty folder for packages
 * @param inventory the result of inventory()
 */
export async function layOutImage(architecture, folder, { work, inventory, epoch }) {
  const put = (from, to, mode) => putFile(folder, from, to, mode);
  const unpacked = await unpack(architecture, work);
  const lib = `lib/${architecture.multiarch}`;
  put(join(unpacked, lib, LOADERS[architecture.node].split('/')[1]), LOADERS[architecture.node], 0o755);
  const names = run('find', ['.', '-name', '*.so.*', '-printf', '%P\n'], unpacked).trim().split('\n').sort();
  for (const path of names) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const wanted = LIBRARIES.flatMap(({ files }) => files).some(file =>
      new RegExp(`^${pattern(file)}\\.so\\.\\d+$`).test(name),
    );
    if (wanted) put(join(unpacked, path), join('/', lib, name));
  }
  if (architecture.node === 'x64') put(await ipsecMb(), `/${lib}/libIPSec_MB.so.1`);
  put(await officialNode(architecture.node), NODE, 0o755);
  putProgram(folder, `native/prebuilt/linux-${architecture.node}-glibc.node`);
  putSystem(folder);
  putDocuments(folder, contentsOf(architecture, inventory, unpacked), epoch);
}

/** Returns what the inventory says about one architecture, with the texts of licences. */
function contentsOf(architecture, { node, addons, ipsecMb: mb, ...rest }, unpacked) {
  const here = ({ arch }) => arch === architecture.node;
  return {
    ...rest,
    node: { ...node, hashes: node.hashes.filter(here) },
    addons: addons.filter(here),
    ...(architecture.node === 'x64' && { ipsecMb: mb }),
    debian: imageLibraries([architecture]).map(each => ({
      ...each,
      copyright: readFileSync(copyrightOf(unpacked, each.name), 'utf8'),
    })),
  };
}

async function unpack({ deb }, work) {
  const tree = join(work, 'unpacked');
  for (const { sha256, ...library } of LIBRARIES)
    run(
      'dpkg-deb',
      ['-x', await debianPackage({ ...library, suite: 'bookworm', architecture: deb, sha256: sha256[deb] }), tree],
      work,
    );
  return tree;
}

/** Returns a library's licence file. GCC's libraries only link to the file of another package. */
function copyrightOf(unpacked, name) {
  return name === 'libc6'
    ? join(unpacked, 'usr/share/doc/libc6/copyright')
    : join(ROOT, 'packaging/gcc-runtime.copyright');
}

function pattern(text) {
  return text.replace(/\+/g, '\\+');
}
