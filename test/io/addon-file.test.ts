/** The choice of the addon's file, and the error if no file fits. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { addonPaths, hasMuslLoader, prebuiltName } from '../../src/io/addon-file.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'wgts-addon-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * Writes a 64-bit ELF file with two program headers. The second one names a loader at the end of
 * the file.
 */
function program(loader: string): string {
  const [header, entry] = [64, 56];
  const bytes = Buffer.alloc(header + 2 * entry);
  bytes.write('\x7fELF', 0, 'latin1');
  bytes.writeBigUInt64LE(BigInt(header), 32);
  bytes.writeUInt16LE(entry, 54);
  bytes.writeUInt16LE(2, 56);
  bytes.writeUInt32LE(1, header);
  bytes.writeUInt32LE(3, header + entry);
  bytes.writeBigUInt64LE(BigInt(bytes.length), header + entry + 8);
  bytes.writeUInt32LE(loader.length + 1, header + entry + 32);
  const path = join(folder, 'program');
  writeFileSync(path, Buffer.concat([bytes, Buffer.from(`${loader}\0`)]));
  return path;
}

test.each([
  ['/lib/ld-musl-x86_64.so.1', true],
  ['/lib/ld-musl-aarch64.so.1', true],
  ['/nix/store/abc-musl-1.2.5/lib/ld-musl-x86_64.so.1', true],
  ['/lib64/ld-linux-x86-64.so.2', false],
  ['/lib/ld-linux-aarch64.so.1', false],
])('a program whose loader is %s: musl %s', (loader, musl) => {
  expect(hasMuslLoader(program(loader))).toBe(musl);
});

test.each([
  ['a script', '#!/bin/sh\nexec /lib/ld-musl-x86_64.so.1 node "$@"\n'],
  ['an empty file', ''],
  ['a file that ends in its header', '\x7fELF'],
])('%s has no such loader', (_, text) => {
  const path = join(folder, 'other');
  writeFileSync(path, text, 'latin1');
  expect(hasMuslLoader(path)).toBe(false);
  expect(hasMuslLoader(join(folder, 'missing'))).toBe(false);
});

test('an addon that was built here comes before the prebuilt file', () => {
  expect(addonPaths('/native')).toEqual(['/native/build/wireguard.node', `/native/prebuilt/${prebuiltName()}.node`]);
});

describe('a package', () => {
  const native = join(folder, 'native');
  const [built, prebuilt] = addonPaths(native) as [string, string];

  beforeEach(() => {
    rmSync(native, { recursive: true, force: true });
    cpSync(join(ROOT, 'native/prebuilt'), join(native, 'prebuilt'), { recursive: true });
    cpSync(join(ROOT, 'dist/io'), join(folder, 'dist/io'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  });

  /** Loads the addon of that package in a process, and returns its output. */
  function load(): string {
    const script = `import(${JSON.stringify(join(folder, 'dist/io/native-binding.js'))}).then(m => console.log(typeof m.nativeBinding().tunOpen)).catch(e => console.log(e.message))`;
    return spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout.trim();
  }

  test('with only the prebuilt addon loads it', () => {
    expect(load()).toBe('function');
  });

  test('with an addon built for another machine loads the prebuilt addon', () => {
    mkdirSync(join(native, 'build'));
    writeFileSync(built, 'of another machine');
    expect(load()).toBe('function');
  });

  test('with only a damaged addon names the file and the remedy', () => {
    writeFileSync(prebuilt, 'damaged');
    expect(load()).toMatch(/cannot be loaded \(\S*native\/prebuilt\/\S+: .*gcc libc6-dev.*WGTS_REBUILD=1 npm rebuild/);
  });

  test('without any addon names the platform and the remedy', () => {
    rmSync(prebuilt);
    expect(load()).toMatch(new RegExp(`no prebuilt addon for ${prebuiltName()}, .*gcc libc6-dev`));
  });
});
