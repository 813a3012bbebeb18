/**
 * Finds the addon of this machine: native/build/wireguard.node if it was built here, otherwise the
 * file of native/prebuilt for this processor and C library. scripts/build-native.mjs decides
 * whether to build one.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This package's native/ folder; the relative path is right from both src/io and dist/io. */
const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
const PT_INTERP = 3;

/**
 * Returns the path of the addon.
 * @throws Error if native/prebuilt lacks this platform and no addon was built
 */
export function addonPath(): string {
  const found = addonPaths().find(path => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    `there is no prebuilt addon for ${prebuiltName()}, and none was built here; install a C compiler (apt-get install gcc libc6-dev) and run: npm rebuild wireguard-ts (in a clone: npm run build)`,
  );
}

/** Returns the possible paths of the addon, the preferred one first. */
export function addonPaths(native: string = NATIVE): string[] {
  return ['build/wireguard.node', `prebuilt/${prebuiltName()}.node`].map(name => join(native, name));
}

/**
 * Returns the name of this machine's file in native/prebuilt without its suffix, like
 * linux-x64-glibc.
 */
export function prebuiltName(): string {
  return `${process.platform}-${process.arch}-${hasMuslLoader(process.execPath) ? 'musl' : 'glibc'}`;
}

/**
 * Reports whether musl's dynamic loader starts a program, a 64-bit little-endian ELF file. This
 * takes 0.1 ms, while process.report.getReport() takes 30 ms. Returns false for a file that cannot
 * be read or has another format.
 */
export function hasMuslLoader(program: string): boolean {
  let file: number | undefined;
  try {
    file = openSync(program, 'r');
    const header = readAt(file, 0, 64);
    const [offset, size, count] = [header.readBigUInt64LE(32), header.readUInt16LE(54), header.readUInt16LE(56)];
    const table = readAt(file, Number(offset), size * count);
    for (let at = 0; at + size <= table.length; at += size) {
      if (table.readUInt32LE(at) !== PT_INTERP) continue;
      const loader = readAt(file, Number(table.readBigUInt64LE(at + 8)), Math.min(256, table.readUInt32LE(at + 32)));
      return loader.includes('/ld-musl-');
    }
    return false;
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readAt(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(file, buffer, 0, length, position));
}
