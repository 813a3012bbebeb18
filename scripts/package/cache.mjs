// Caches downloaded files, which are pinned by SHA-256 and checked on every use.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE } from '../addon/cache.mjs';

/**
 * Returns the path of a file with this hash. Concurrent calls are safe: each process fetches its
 * own copy, and the file appears in the cache complete or not at all.
 * @param fetch receives an empty folder to work in, and returns the path of the file
 * @throws Error if the fetched file has another hash
 */
export async function pinnedFile({ name, sha256, mode = 0o644, fetch }) {
  const path = join(CACHE, sha256, name);
  if (hashOf(path) === sha256) return path;
  const folder = mkdtempSync(join(tmpdir(), 'wireguard-ts-fetch-'));
  try {
    const fetched = await fetch(folder);
    const found = hashOf(fetched);
    if (found !== sha256) throw new Error(`${name} is not the expected file: its SHA-256 is ${found}, not ${sha256}`);
    mkdirSync(join(CACHE, sha256), { recursive: true });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, readFileSync(fetched), { mode });
    renameSync(temporary, path);
    return path;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @returns the file's SHA-256 as hex, or undefined if the file does not exist */
export function hashOf(path) {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return undefined;
  }
}
