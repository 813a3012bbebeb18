// Writes the bill of materials in CycloneDX 1.6, from which a scanner finds known flaws in any part
// of a release.
import { createHash } from 'node:crypto';
import { MANIFEST, NAME, VERSION } from './release.mjs';

const SPECIFICATION = '1.6';

/**
 * Returns the bill as JSON, the same for the same arguments.
 * @param inventory from inventory() or ownInventory()
 * @param epoch seconds since 1970
 */
export function sbom(inventory, epoch) {
  const components = [nodeComponent(inventory.node), ...parts(inventory)];
  const root = { type: 'application', 'bom-ref': NAME, name: NAME, version: VERSION, ...licensed(MANIFEST.license) };
  const bill = {
    $schema: `http://cyclonedx.org/schema/bom-${SPECIFICATION}.schema.json`,
    bomFormat: 'CycloneDX',
    specVersion: SPECIFICATION,
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: { ...root, description: MANIFEST.description, purl: `pkg:npm/${NAME}@${VERSION}` },
    },
    components,
    dependencies: [
      { ref: NAME, dependsOn: components.map(component => component['bom-ref']) },
      ...components.map(component => ({
        ref: component['bom-ref'],
        ...(component.components && { dependsOn: component.components.map(part => part['bom-ref']) }),
      })),
    ],
  };
  return `${JSON.stringify({ ...bill, serialNumber: serialNumber(bill) }, undefined, 2)}\n`;
}

/**
 * Describes the official Node binary and the components that are linked into it. The CPE names are
 * those that security advisories use.
 */
function nodeComponent({ version, parts, hashes }) {
  return {
    type: 'platform',
    'bom-ref': 'node',
    name: 'node',
    version,
    ...licensed('MIT'),
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    purl: `pkg:generic/node@${version}`,
    properties: hashes.map(({ arch, sha256 }) => ({ name: `${NAME}:sha256:linux-${arch}`, value: sha256 })),
    components: parts.map(part => ({
      type: 'library',
      'bom-ref': `node/${part.name}`,
      ...part,
      purl: `pkg:generic/${part.name}@${encodeURIComponent(part.version)}`,
      ...(part.name === 'openssl' && { cpe: `cpe:2.3:a:openssl:openssl:${part.version}:*:*:*:*:*:*:*` }),
    })),
  };
}

function parts({ packages, addons, ipsecMb, debian = [] }) {
  return [
    ...packages.map(({ name, version, licence, integrity }) => ({
      type: 'library',
      'bom-ref': `npm/${name}@${version}`,
      name,
      version,
      ...licensed(licence),
      hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex') }],
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    })),
    ...addons.map(({ arch, sha256 }) => ({
      type: 'library',
      'bom-ref': `addon/${arch}`,
      name: `wireguard.node for linux-${arch}`,
      version: VERSION,
      ...licensed(MANIFEST.license),
      hashes: [{ alg: 'SHA-256', content: sha256 }],
    })),
    ...(ipsecMb
      ? [
          {
            ...debianComponent({ ...ipsecMb, name: ipsecMb.package, architecture: 'amd64' }),
            ...licensed('BSD-3-Clause'),
            description: 'libIPSec_MB, for x64 only',
          },
        ]
      : []),
    ...debian.map(each => ({
      ...debianComponent(each),
      ...licensed(each.licence),
      description: 'only in the container image',
    })),
  ];
}

function debianComponent({ name, version, architecture, suite, sha256 }) {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=${suite}`;
  return {
    type: 'library',
    'bom-ref': `debian/${name}/${architecture}`,
    name,
    version,
    hashes: [{ alg: 'SHA-256', content: sha256 }],
    purl,
  };
}

function licensed(licence) {
  return { licenses: / (OR|AND|WITH) /.test(licence) ? [{ expression: licence }] : [{ license: { id: licence } }] };
}

/** Derives a UUID from the content, so that the same release always has the same UUID. */
function serialNumber(bill) {
  const hex = createHash('sha256').update(JSON.stringify(bill)).digest('hex');
  const variant = ((Number.parseInt(hex[16], 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
