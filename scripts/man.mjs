/**
 * `npm run man`: writes the man pages, dist/man/*.8, from the texts of --help. Their date is the
 * commit's, or SOURCE_DATE_EPOCH if set, so the same commit makes the same pages.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manPages } from '#dist/cli/help/man.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'dist/man');
const date = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' }).format(seconds() * 1000);
mkdirSync(folder, { recursive: true });
for (const [name, text] of await manPages(date)) writeFileSync(join(folder, name), text);

function seconds() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given) return Number(given);
  try {
    const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], options));
  } catch {
    return statSync(join(root, 'package.json')).mtimeMs / 1000;
  }
}
