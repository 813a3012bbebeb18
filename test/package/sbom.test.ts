/** The bill of materials: valid CycloneDX, and complete for the known parts of a release. */
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { expect, test } from 'vitest';
import { sbom } from '../../scripts/package/sbom.mjs';

const INVENTORY = {
  node: {
    version: '24.1.2',
    parts: [{ name: 'openssl', version: '3.5.9' }],
    hashes: [{ arch: 'x64', sha256: 'ab'.repeat(32) }],
    licence: '',
  },
  packages: [
    { name: '@scope/part', version: '1.2.3', licence: '(MIT OR CC0-1.0)', integrity: `sha512-${'A'.repeat(86)}==` },
  ],
  bundledLicences: '',
  addons: [{ arch: 'x64', sha256: 'cd'.repeat(32) }],
  ipsecMb: { package: 'libipsec-mb1', version: '1.3-2', suite: 'bookworm', sha256: 'ef'.repeat(32) },
  debian: [
    {
      name: 'libc6',
      version: '2.36-9+deb12u14',
      suite: 'bookworm',
      architecture: 'amd64',
      sha256: '01'.repeat(32),
      licence: 'LGPL-2.1-or-later',
    },
  ],
};

test('is valid against the schema of CycloneDX 1.6', async () => {
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
  expect(await validator.validate(sbom(INVENTORY, 1_700_000_000))).toBeNull();
  const wrong = sbom(INVENTORY, 1_700_000_000).replace('"type": "platform"', '"type": "no such type"');
  expect(await validator.validate(wrong)).not.toBeNull();
});

test('names Node, its OpenSSL, packages, addon and libraries', () => {
  const text = sbom(INVENTORY, 1_700_000_000);
  for (const name of [
    'cpe:2.3:a:openssl:openssl:3.5.9:',
    'pkg:generic/node@24.1.2',
    'pkg:npm/%40scope/part@1.2.3',
    'wireguard.node',
    'pkg:deb/debian/libc6@',
  ])
    expect(text).toContain(name);
});

test('is equal for the same release, and differs between releases', () => {
  expect(sbom(INVENTORY, 1_700_000_000)).toBe(sbom(INVENTORY, 1_700_000_000));
  const serial = (epoch: number): string =>
    (JSON.parse(sbom(INVENTORY, epoch)) as { serialNumber: string }).serialNumber;
  expect(serial(1)).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
  expect(serial(1)).not.toBe(serial(2));
});
