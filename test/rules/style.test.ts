/**
 * Rules for every file: one noun as its name, a limited size, and an opening comment that says what
 * it is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LONGEST = 300;
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME'].join('|')})\\b`);

const ours = ['src', 'native', 'test', 'bench', 'scripts', 'deploy', 'mutation']
  .filter(folder => existsSync(join(ROOT, folder)))
  .flatMap(folder => list(folder))
  .filter(name => /\.(ts|mjs|c|h)$/.test(name) && !/\/(build|node_modules)\//.test(name));

describe.each(ours)('%s', name => {
  const text = readFileSync(join(ROOT, name), 'utf8');

  test('keeps the rules of every file', () => {
    expect(basename(name)).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.(ts|mjs|c|h)$/);
    expect(basename(name)).not.toMatch(/util|helper|misc|common/);
    expect(text.split('\n').length, 'lines').toBeLessThanOrEqual(LONGEST + 1);
    if (!name.endsWith('.test.ts'))
      expect(text.replace(/^#!.*\n/, ''), 'opens with what it is').toMatch(/^(\/\*|\/\/)/);
    expect(text).not.toMatch(UNFINISHED);
    if (name.startsWith('test/') && name !== 'test/rules/skip-summary.test.ts') {
      // One table lists what may be missing (test/support/machine.ts), so that the summary knows
      // it.
      expect(text, 'skips').not.toMatch(/\.(skip|skipIf|runIf|todo)\(/);
      // One limit ends what hangs (test/support/patience.ts): no test has its own limit, and no
      // test expects anything of a clock.
      expect(text, 'limits').not.toMatch(/^\s*\}, \d+_000\);$|\{ timeout: \d[\d_]* \}, (async )?\(/m);
      expect(text, 'times').not.toMatch(/expect\((Date|performance)\.now\(\) - [^)]*\)\.toBeLess/);
    }
    if (name.startsWith('src/')) expect(text).not.toMatch(/\bas any\b|: any\b|export default|^\s*(export )?enum /m);
  });
});

function list(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(name => `${folder}/${name}`);
}
