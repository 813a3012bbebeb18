// Defines what every part of a release needs: the version, the commit's time, the folder, and the
// name of each architecture in each format.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
export const { name: NAME, version: VERSION } = MANIFEST;

/**
 * Architectures by Node's name. Each has its names in Debian, in RPM (the kernel's name too) and in
 * OCI, and the name of Debian's folder of libraries.
 */
export const ARCHITECTURES = {
  x64: { node: 'x64', deb: 'amd64', rpm: 'x86_64', oci: 'amd64', multiarch: 'x86_64-linux-gnu' },
  arm64: { node: 'arm64', deb: 'arm64', rpm: 'aarch64', oci: 'arm64', multiarch: 'aarch64-linux-gnu' },
};

/** An error that the user can fix. It is printed as one sentence, without a stack. */
export class ReleaseError extends Error {}

/**
 * Returns the time of the release in seconds since 1970: SOURCE_DATE_EPOCH, or the commit's time.
 */
export function sourceDateEpoch() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) {
    if (!/^\d{1,11}$/.test(given))
      throw new ReleaseError(
        `SOURCE_DATE_EPOCH=${given} is not a number of seconds; unset it to use the commit's time`,
      );
    return Number(given);
  }
  try {
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }));
  } catch {
    throw new ReleaseError(
      'this is not a git clone, so there is no commit to take the time from; set SOURCE_DATE_EPOCH (seconds)',
    );
  }
}

/**
 * Runs a program with its output on our stderr. @throws ReleaseError if it cannot start or fails
 */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 2, 2], ...options });
    child.on('error', error => reject(new ReleaseError(`${program} cannot be started: ${error.message}`)));
    child.on('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new ReleaseError(`${program} ${args.join(' ')} failed (${signal ?? `status ${code}`})`)),
    );
  });
}

/**
 * Writes a file completely or not at all, so that an interrupted release leaves no partial files.
 */
export function writeWhole(path, bytes, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, bytes, { mode });
  renameSync(temporary, path);
  return path;
}

/** Compresses as `gzip -9n` does: without a name or a time. */
export function gzip(bytes) {
  const packed = gzipSync(bytes, { level: 9 });
  // The operating-system byte: zlib sets it to the system that it was built on.
  packed[9] = 255;
  return packed;
}
