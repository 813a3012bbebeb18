// Writes SHA256SUMS in the format of sha256sum(1). To check it: sha256sum --check SHA256SUMS.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeWhole } from './release.mjs';

/** @param paths files in the folder */
export async function writeChecksums(folder, paths) {
  const lines = await Promise.all(paths.map(async path => `${await sha256(path)}  ${basename(path)}\n`));
  return writeWhole(join(folder, 'SHA256SUMS'), lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join(''));
}

/** @returns the hash as hex */
async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
