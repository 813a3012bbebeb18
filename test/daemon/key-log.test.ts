/** The file of the key log (src/daemon/key-log.ts). A test with tshark checks its content. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openKeyLog } from '../../src/daemon/key-log.ts';

test.each([
  ['new', undefined],
  ['there before and readable by all', 0o666],
])('a file that is %s becomes readable by its owner only', (_, mode) => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-keylog-'));
  try {
    const path = join(folder, 'keys');
    if (mode !== undefined) writeFileSync(path, 'before\n', { mode });
    const { log, close } = openKeyLog(path);
    log('PRESHARED_KEY', new Uint8Array(32));
    close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toBe(
      `${mode === undefined ? '' : 'before\n'}PRESHARED_KEY = ${'A'.repeat(43)}=\n`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
