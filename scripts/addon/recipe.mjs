// Defines how the addon is built: its sources, flags and libraries. build-native.mjs and
// prebuild.mjs share this file.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
export const PREBUILT = join(NATIVE, 'prebuilt');
/** Records the sources and the compiler that the files in native/prebuilt were compiled with. */
const MANIFEST = join(PREBUILT, 'manifest.json');

export const COMPILE_FLAGS = [
  '-std=gnu11',
  '-O3',
  '-fPIC',
  '-fvisibility=hidden',
  '-fno-strict-overflow',
  '-fstack-protector-strong',
];
export const WARNINGS = ['-Wall', '-Wextra', '-Wshadow', '-Wno-cast-function-type'];
export const LINK_FLAGS = [
  '-shared',
  '-Wl,-z,relro,-z,now',
  // Never unload: the addon's threads outlive the last worker thread that loaded it.
  '-Wl,-z,nodelete',
];
export const LIBRARIES = ['-lpthread', '-ldl'];

/** Returns the names of the C files and headers, sorted. */
export function sources() {
  return readdirSync(NATIVE)
    .filter(name => /\.[ch]$/.test(name))
    .sort();
}

/** Returns the SHA-256 of all files that sources() lists, as hex. */
export function sourcesHash() {
  const hash = createHash('sha256');
  for (const name of sources()) {
    const bytes = readFileSync(join(NATIVE, name));
    hash.update(`${name} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex');
}

export function fileHash(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Returns the folder that contains node_api.h. */
export function headers() {
  return createRequire(import.meta.url)('node-api-headers').include_dir;
}

export function headersVersion() {
  return createRequire(import.meta.url)('node-api-headers/package.json').version;
}

/** Returns the manifest; its type is in recipe.d.mts. */
export function readManifest() {
  return JSON.parse(readFileSync(MANIFEST, 'utf8'));
}
