/**
 * native/prebuilt matches the C sources, exists for every platform, and requires no more of it than
 * promised.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileHash, headersVersion, PREBUILT, readManifest, sourcesHash } from '../../scripts/addon/recipe.mjs';
import { readElf } from '../support/elf.ts';

const manifest = readManifest();
const NAMES = ['linux-arm64-glibc', 'linux-arm64-musl', 'linux-x64-glibc', 'linux-x64-musl'].map(
  name => `${name}.node`,
);

test('the files match these C sources; otherwise run: npm run prebuild', () => {
  expect(manifest.sources).toBe(sourcesHash());
  expect(manifest.headers).toBe(headersVersion());
  expect(readdirSync(PREBUILT).sort()).toEqual([...NAMES, 'manifest.json']);
  expect(Object.fromEntries(NAMES.map(name => [name, fileHash(join(PREBUILT, name))]))).toEqual(manifest.files);
});

describe.each(NAMES)('%s', name => {
  const bytes = readFileSync(join(PREBUILT, name));
  const elf = readElf(bytes);
  const [, arch, libc] = /^linux-(\w+)-(\w+)\.node$/.exec(name)!;

  test('is for its processor, and small', () => {
    expect(elf.machine).toBe(arch === 'x64' ? 62 : 183);
    expect(bytes.length).toBeLessThan(200_000);
  });

  test('needs only its libc, and no symbol newer than glibc 2.28', () => {
    const loader = arch === 'x64' ? 'ld-linux-x86-64.so.2' : 'ld-linux-aarch64.so.1';
    expect(elf.needed.sort()).toEqual(
      libc === 'musl' ? ['libc.so'] : [loader, 'libc.so.6', 'libdl.so.2', 'libpthread.so.0'].sort(),
    );
    const versions = elf.versions.map(version => /^GLIBC_2\.(\d+)(\.\d+)?$/.exec(version)?.[1] ?? version);
    expect(versions.filter(minor => !(Number(minor) <= 28))).toEqual([]);
    expect(versions.length > 0).toBe(libc === 'glibc');
  });

  test('exports exactly what Node looks up, and needs only Node-API and libuv from Node', () => {
    expect(elf.defined.sort()).toEqual(['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
    expect(elf.undefined.filter(symbol => /^(_Z|EVP_|v8)/.test(symbol))).toEqual([]);
    expect(elf.undefined).toEqual(expect.arrayContaining(['napi_create_function', '__stack_chk_fail']));
  });

  test('is hardened: read-only relocations, immediate binding, no executable stack, never unloaded', () => {
    expect(elf).toMatchObject({ relro: true, now: true, nodelete: true, executableStack: false, runPath: false });
  });

  test('contains no path of the build machine', () => {
    expect(bytes.toString('latin1')).not.toMatch(/\/(tmp|root|home|work|build)\b/);
  });
});
