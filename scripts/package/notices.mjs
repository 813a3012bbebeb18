// Writes THIRD-PARTY-NOTICES: the licences of everything inside the executables or the image, which
// those licences require.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './release.mjs';

const RULE = `\n${'='.repeat(80)}\n\n`;

/** Returns the notices of the executables as text. @param inventory the result of inventory() */
export function notices({ node, bundledLicences, ipsecMb }) {
  return [
    `wireguard-ts itself is under the MIT licence. Its executables contain Node.js ${node.version}, parts of npm packages, and on x64
libIPSec_MB of Debian's ${ipsecMb.package} ${ipsecMb.version}. Their licences follow. Versions and checksums stand in the bill of materials (CycloneDX).
`,
    ...shared({ node, bundledLicences, ipsecMb }),
  ].join(RULE);
}

/**
 * Returns the notices of the image of one architecture as text.
 * @param inventory the result of inventory() or ownInventory(). Each library of Debian has the text
 * of its licence as `copyright`
 */
export function imageNotices({ node, bundledLicences, ipsecMb, debian }) {
  const names = debian.map(({ name, version }) => `${name} ${version}`).join(', ');
  return [
    `wireguard-ts itself is under the MIT licence. Its image contains Node.js ${node.version}, parts of npm packages${ipsecMb ? ', libIPSec_MB' : ''}, and these
packages of Debian in part: ${names}. Their licences follow. Versions and checksums stand in the bill of materials beside this
file (CycloneDX).
`,
    ...shared({ node, bundledLicences, ipsecMb }),
    ...debian.map(({ name, version, copyright }) => `${name} ${version}\n\n${copyright}`),
  ].join(RULE);
}

function shared({ node, bundledLicences, ipsecMb }) {
  return [
    `npm packages\n\n${bundledLicences}`,
    ...(ipsecMb ? [`libIPSec_MB\n\n${readFileSync(join(ROOT, 'packaging/libipsec-mb.licence'), 'utf8')}`] : []),
    `Node.js ${node.version}, with OpenSSL and the other parts of it\n\n${node.licence}`,
  ];
}
