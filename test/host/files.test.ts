/** Files of the host: finding and writing a configuration, and the lock of an interface. */
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { locateFile, readQuickFile, writeQuickFile } from '../../src/host/conf-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-files-'));
  path = join(folder, 'wg0.conf');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a configuration file', () => {
  test('is a path, or a name in /etc/wireguard', () => {
    expect(locateFile('wg0')).toBe('/etc/wireguard/wg0.conf');
    expect(locateFile('./wg0.conf')).toBe('./wg0.conf');
    expect(locateFile('/a/wg0.conf')).toBe('/a/wg0.conf');
  });

  test('that others may read causes a warning', () => {
    writeFileSync(path, '[Interface]\nPostUp = wg set %i private-key /key\n');
    for (const [mode, times] of [
      [0o600, 0],
      [0o640, 0],
      [0o644, 1],
    ] as const) {
      const warnings: string[] = [];
      chmodSync(path, mode);
      readQuickFile(path, message => warnings.push(message));
      expect(warnings, mode.toString(8)).toHaveLength(times);
      if (times > 0) expect(warnings[0]).toContain(`\`${path}' is world accessible`);
    }
  });

  test('that does not exist is reported as missing', () => {
    expect(() => readQuickFile(path, () => {})).toThrow(`\`${path}' does not exist`);
  });

  test('is replaced as a whole, readable by its owner only, and a link to it stays a link', () => {
    writeFileSync(path, 'old', { mode: 0o644 });
    const link = join(folder, 'link.conf');
    symlinkSync(path, link);
    writeQuickFile(link, 'new\n');
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['link.conf', 'wg0.conf']);
  });
});
