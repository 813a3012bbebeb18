/** Keys and records in files: atomic, private, and the same after a restart. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clampPrivateKey, formatKeyBase64 } from '../../../../src/base/key.ts';
import { KeyFiles } from '../../../../src/calico/apply/state/identity.ts';
import { RecordFile } from '../../../../src/calico/apply/state/record.ts';
import { StateDirectory } from '../../../../src/calico/apply/state/state-directory.ts';
import { testWith } from '../../../netns/needs.ts';

let parent: string;
let path: string;
let warnings: string[];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'calico-state-'));
  path = join(parent, 'state');
  warnings = [];
});

afterEach(() => rmSync(parent, { recursive: true }));

const warn = (text: string): void => void warnings.push(text);
const open = (): KeyFiles => new KeyFiles(new StateDirectory(path, warn));
const mode = (name: string): number => statSync(name).mode & 0o7777;
const FILE = (): string => join(path, 'private-key');

test('a key survives a restart, in a file of 0600 in a folder of 0700, as wg writes it; one per family', () => {
  const keys = open();
  expect(keys.load(4)).toBeUndefined();
  const key = keys.generate();
  expect(formatKeyBase64(clampPrivateKey(key.slice()))).toBe(formatKeyBase64(key));
  keys.save(4, key);
  expect([mode(path), mode(FILE())]).toEqual([0o700, 0o600]);
  expect(readFileSync(FILE(), 'latin1')).toBe(`${formatKeyBase64(key)}\n`);
  expect(open().load(4)).toEqual(key);
  expect(open().load(6)).toBeUndefined();
  keys.save(6, keys.generate());
  expect(open().load(6)).not.toEqual(key);
  expect(open().load(4)).toEqual(key);
  expect(warnings).toEqual([]);
});

test('writes and reads every key as wg does', () => {
  const keys = open();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), bytes => {
      keys.save(4, bytes);
      expect(readFileSync(FILE(), 'latin1')).toBe(`${formatKeyBase64(bytes)}\n`);
      if (bytes.some(byte => byte !== 0)) expect(keys.load(4)).toEqual(clampPrivateKey(bytes.slice()));
    }),
    { numRuns: 50 },
  );
});

test('closes files that others could read, and warns', () => {
  open().save(4, open().generate());
  chmodSync(FILE(), 0o644);
  chmodSync(path, 0o755);
  expect(open().load(4)).toHaveLength(32);
  expect([mode(path), mode(FILE())]).toEqual([0o700, 0o600]);
  expect(warnings).toEqual([
    expect.stringContaining(`${path} was accessible to other users (mode 0755)`),
    expect.stringContaining(`${FILE()} could be read by other users (mode 0644)`),
  ]);
});

test('closes the empty folder that the kubelet makes on a new node, without a warning', () => {
  mkdirSync(path, { mode: 0o755 });
  chmodSync(path, 0o755);
  open();
  expect([mode(path), warnings]).toEqual([0o700, []]);
});

testWith(['root'], 'refuses files of another user by name', () => {
  open().save(4, open().generate());
  chownSync(FILE(), 12345, 12345);
  expect(() => open().load(4)).toThrow(`${FILE()} is owned by user 12345`);
  chownSync(path, 12345, 12345);
  expect(open).toThrow(`${path} is owned by user 12345`);
});

test('refuses a link and an invalid key by name, and never overwrites or reveals them', () => {
  open();
  const right = `${formatKeyBase64(new Uint8Array(32).fill(9))}\n`;
  for (const text of [
    '',
    'abc',
    right.slice(1),
    right.replace('=', 'A'),
    right.replace('J', '%'),
    `${right}x`,
    `${'A'.repeat(43)}=`,
    right.replace('k=', 'l='),
  ]) {
    writeFileSync(FILE(), text, { mode: 0o600 });
    const failure = caught(() => open().load(4));
    expect(failure).toMatch(/private-key does not contain a private key/);
    if (text.length > 10) expect(failure).not.toContain(text.slice(0, 10));
    expect(readFileSync(FILE(), 'latin1')).toBe(text);
  }
  writeFileSync(FILE(), `${right.trim()} \r\n`, { mode: 0o600 });
  expect(open().load(4)).toHaveLength(32);
  rmSync(FILE());
  symlinkSync('/dev/zero', FILE());
  expect(() => open().load(4)).toThrow(`${FILE()} is a symbolic link`);
});

test('refuses a path that is not a folder by name', () => {
  writeFileSync(path, '');
  expect(open).toThrow(/EEXIST|is not a directory/);
});

test('an interrupted write leaves the old key, and the next one succeeds', () => {
  const keys = open();
  const key = keys.generate();
  keys.save(4, key);
  writeFileSync(`${FILE()}.new`, 'half', { mode: 0o600 });
  expect(open().load(4)).toEqual(key);
  keys.save(4, keys.generate());
  expect(existsSync(`${FILE()}.new`)).toBe(false);
});

test('keeps records and skips invalid ones', () => {
  const directory = new StateDirectory(path, warn);
  const note = { interfaceName: 'a.cali', table: 600 };
  expect(new RecordFile(directory, warn).read()).toEqual({});
  new RecordFile(directory, warn).write({ 4: [note] });
  expect(new RecordFile(directory, warn).read()).toEqual({ 4: [note], 6: [] });
  const strange = [
    note,
    null,
    5,
    { interfaceName: '../../x', table: 5 },
    { interfaceName: 'x', table: 254 },
    { interfaceName: 'x' },
  ];
  directory.write('made.json', new TextEncoder().encode(JSON.stringify({ 4: strange, 6: 'x' })));
  expect(new RecordFile(directory, warn).read()).toEqual({ 4: [note], 6: [] });
  expect(warnings).toEqual([]);
  directory.write('made.json', new TextEncoder().encode('{'));
  expect(new RecordFile(directory, warn).read()).toEqual({});
  expect(warnings).toEqual([expect.stringContaining('made.json cannot be read')]);
});

function caught(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}
