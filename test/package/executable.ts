/**
 * The single executable for this machine's processor, and a file tree that contains only the
 * executable and a C library.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Builds the executable as `npm run package` does. */
export function makeExecutable(path: string, arch = process.arch): void {
  const script = join(ROOT, 'scripts/package/executable.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, arch, path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`executable.mjs: ${stdout}${stderr}`);
}

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * A file tree that serves as the root of its programs: the executable as /usr/bin/wgts and
 * /usr/bin/wireguard-ts, glibc, and empty folders.
 */
export class EmptyRoot {
  readonly tree = mkdtempSync(join(tmpdir(), 'wgts-root-'));

  constructor(executable: string) {
    for (const folder of ['usr/bin', 'tmp', 'var/tmp', 'var/run/wireguard', 'dev/net', 'proc', 'root'])
      mkdirSync(join(this.tree, folder), { recursive: true });
    copyFileSync(executable, join(this.tree, 'usr/bin/wgts'));
    symlinkSync('wgts', join(this.tree, 'usr/bin/wireguard-ts'));
    const { stdout } = spawnSync('ldd', [executable], { encoding: 'utf8' });
    for (const [, library] of stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)) {
      mkdirSync(join(this.tree, dirname(library!)), { recursive: true });
      copyFileSync(library!, join(this.tree, library!));
    }
  }

  /**
   * Runs shell lines in which `in_root COMMAND` runs a command in the tree, in separate network and
   * mount namespaces. /dev/null and /dev/net/tun exist, and /proc unless omitted; /tmp is mounted
   * noexec.
   */
  run(lines: string, { proc = true, env = {} }: { proc?: boolean; env?: Record<string, string> } = {}): Ran {
    const script = `set -e
      mount --make-rprivate /
      mount -t tmpfs -o noexec tmpfs "$ROOT/tmp"
      for device in null net/tun; do touch "$ROOT/dev/$device"; mount --bind "/dev/$device" "$ROOT/dev/$device"; done
      ${proc ? 'mount -t proc proc "$ROOT/proc"' : ''}
      in_root() { chroot "$ROOT" "$@"; }
      ${lines}`;
    const child = spawnSync('unshare', ['-mnpf', '--kill-child', 'sh', '-c', script], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ROOT: this.tree, ...env },
    });
    return { status: child.status, out: child.stdout, err: child.stderr };
  }

  /** Returns the paths of all files. */
  files(): string[] {
    return readdirSync(this.tree, { recursive: true, encoding: 'utf8' }).sort();
  }

  remove(): void {
    rmSync(this.tree, { recursive: true });
  }
}
