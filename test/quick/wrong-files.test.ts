/**
 * The exact answers of `wgts up` to wrong files: the place, what is wrong, and what to write
 * instead; never a key.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locateFile, readQuickFile } from '../../src/host/conf-file.ts';
import { WRONG_INTERFACES } from './wrong-interfaces.ts';
import { WRONG_PEERS } from './wrong-peers.ts';

const before = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'wgts-wrong-'));
beforeAll(() => process.chdir(folder));
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

/** Private and preshared keys of the files, and the recognizable part of a mistyped one. */
const SECRET = /oK56DE9Ue9zK76|a0ae7a0c4f54/;

function read(path: string): string {
  const said: string[] = [];
  try {
    readQuickFile(path, message => said.push(`warning: ${message}`));
  } catch (error) {
    said.push((error as Error).message);
  }
  return said.join('\n');
}

test('covers more than a hundred files', () => {
  expect(WRONG_INTERFACES.length + WRONG_PEERS.length).toBeGreaterThan(100);
});

describe.each([
  ['[Interface]', WRONG_INTERFACES],
  ['[Peer]', WRONG_PEERS],
])('%s', (_, files) => {
  test.each(files)('%s', (_name, text, said) => {
    writeFileSync('wg0.conf', text, { mode: 0o600 });
    expect(read('wg0.conf')).toBe(said);
    expect(said).not.toMatch(SECRET);
    // No control characters, which a terminal would obey.
    expect(read('wg0.conf').replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });
});

describe('the file itself', () => {
  const own = '[Interface]\nPrivateKey = oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrUM=\n';

  test('missing: suggests the nearest name', () => {
    writeFileSync('office.conf', own, { mode: 0o600 });
    expect(read('./ofice.conf')).toBe("`./ofice.conf' does not exist; did you mean `office.conf'?");
    expect(read('./office')).toBe("`./office' does not exist; did you mean `office.conf'?");
    expect(read('/no/such/folder/wg0.conf')).toBe("`/no/such/folder/wg0.conf' does not exist");
    expect(read('office.conf/wg0.conf')).toBe(
      "`office.conf/wg0.conf' does not exist: a part of its path is a file, not a folder",
    );
  });

  test('rejects a folder and a link to itself, and follows a link to a file', () => {
    mkdirSync('folder.conf');
    expect(read('folder.conf')).toBe("`folder.conf' is a folder: give a file in it, such as folder.conf/wg0.conf");
    symlinkSync('loop.conf', 'loop.conf');
    expect(read('loop.conf')).toBe("`loop.conf' is a symbolic link that leads to itself");
    writeFileSync('real.conf', own, { mode: 0o600 });
    symlinkSync('real.conf', 'link.conf');
    expect(read('link.conf')).toBe('');
  });

  test('warns about a world-readable file', () => {
    writeFileSync('open.conf', own);
    chmodSync('open.conf', 0o644);
    expect(read('open.conf')).toBe(
      `warning: \`${folder}/open.conf' is world accessible and has a private key: chmod 600 it`,
    );
  });

  test('rejects a huge or endless file', () => {
    writeFileSync('huge.conf', own, { mode: 0o600 });
    truncateSync('huge.conf', 65 << 20);
    expect(read('huge.conf')).toBe('huge.conf: this is not a configuration: it has more than 64 MiB');
    expect(read('/dev/zero')).toBe('/dev/zero: this is not a configuration: it has more than 64 MiB');
  });

  test('rejects a name that no interface can have', () => {
    writeFileSync('a-very-long-interface.conf', own, { mode: 0o600 });
    expect(read('a-very-long-interface.conf')).toBe(
      "`a-very-long-interface.conf': the interface is named as the file without .conf, and 21 characters are too long: Linux allows 15",
    );
    expect(() => locateFile('another-very-long-name')).toThrow(
      "`another-very-long-name' is too long for an interface: it has 22 characters, and Linux allows 15",
    );
    writeFileSync('wg0.txt', own, { mode: 0o600 });
    expect(read('wg0.txt')).toMatch(/^the configuration file must be named for its interface: .*; `wg0\.txt' is not$/);
  });
});
