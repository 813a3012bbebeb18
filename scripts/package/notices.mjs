// Writes THIRD-PARTY-NOTICES: the licences of everything inside the executables, which those
// licences require.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './release.mjs';

const RULE = `\n${'='.repeat(80)}\n\n`;

/** Returns the notices as text. @param inventory the result of inventory() */
export function notices({ node, bundledLicences, ipsecMb }) {
  const ofIpsecMb = readFileSync(join(ROOT, 'packaging/libipsec-mb.licence'), 'utf8');
  return [
    `wireguard-ts itself is under the MIT licence. Its executables contain Node.js ${node.version}, parts of npm packages, and on x64
libIPSec_MB of Debian's ${ipsecMb.package} ${ipsecMb.version}. Their licences follow. Versions and checksums stand in the bill of materials (CycloneDX).
`,
    `npm packages\n\n${bundledLicences}`,
    `libIPSec_MB\n\n${ofIpsecMb}`,
    `Node.js ${node.version}\n\n${node.licence}`,
  ].join(RULE);
}
