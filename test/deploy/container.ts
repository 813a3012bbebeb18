/**
 * A container for tests without a container engine: the tree that deploy/assemble.mjs makes,
 * read-only, in its own mount and network namespaces, with exactly the rights that the DaemonSet
 * grants: user 0, the named capabilities, no new privileges.
 *
 * An engine would add seccomp, AppArmor or SELinux, and the device cgroup; this does not.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HANG_MS } from '../support/patience.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The kernel's numbers of the capabilities that manifests name. */
const CAPABILITIES: Readonly<Record<string, number>> = { NET_ADMIN: 12 };
const LIMIT = HANG_MS;

/**
 * Mounts the given paths, enters the tree, drops rights, and becomes the program. The tree has
 * neither a shell nor setpriv.
 */
const ENTER = `
import ctypes, os, sys
tree, keep, mounts = sys.argv[1], {int(n) for n in sys.argv[2].split(',') if n}, [m.split(':') for m in sys.argv[3].split(',') if m]
libc = ctypes.CDLL(None, use_errno=True)
def check(result, what):
    if result != 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)
def mount(source, target, flags):
    check(libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(flags), None), target)
BIND, READ_ONLY, REMOUNT, RECURSIVE, PRIVATE = 4096, 1, 32, 16384, 1 << 18
check(libc.mount(b'none', b'/', None, ctypes.c_ulong(RECURSIVE | PRIVATE), None), '/')
mount(tree, tree, BIND)
check(libc.mount(b'proc', (tree + '/proc').encode(), b'proc', ctypes.c_ulong(READ_ONLY), None), 'proc')
for source, target in mounts: mount(source, tree + target, BIND)
check(libc.mount(b'none', tree.encode(), None, ctypes.c_ulong(BIND | REMOUNT | READ_ONLY), None), tree)
os.chroot(tree)
os.chdir('/')
for capability in range(64):
    # PR_CAPBSET_READ, PR_CAPBSET_DROP
    if capability not in keep and libc.prctl(23, capability, 0, 0, 0) >= 0: check(libc.prctl(24, capability, 0, 0, 0), 'capability')
check(libc.prctl(38, 1, 0, 0, 0), 'no_new_privs')
os.execve(sys.argv[4], sys.argv[4:], {'PATH': '/usr/bin', 'NODENAME': 'test-node'})
`;

export interface Container {
  /** Like the Dockerfile's ENTRYPOINT or a manifest's `command`. */
  readonly command: readonly string[];
  /** Like securityContext.capabilities.add. */
  readonly capabilities?: readonly string[];
  /** Paths of the host, by the path in the container. */
  readonly mounts?: Readonly<Record<string, string>>;
}

/**
 * The tree, made once per test file: the build stage of the Dockerfile, line by line, in a folder
 * that contains exactly what its COPY lines name. Only what needs the network is taken from this
 * clone: the system's packages and node_modules.
 */
export class Image {
  readonly #folder = mkdtempSync(join(tmpdir(), 'wgts-image-'));
  readonly tree = join(this.#folder, 'image');

  constructor() {
    try {
      this.#build(buildStage(readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8')));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  run(container: Container): { status: number | null; out: string; err: string } {
    const { status, stdout, stderr, error } = spawnSync('unshare', this.#arguments(container), {
      encoding: 'utf8',
      timeout: LIMIT,
    });
    if (error) throw error;
    return { status, out: stdout, err: stderr };
  }

  /** Runs until it is stopped. The process id is the program's. */
  start(container: Container): ChildProcess {
    return spawn('unshare', this.#arguments(container), { stdio: 'pipe' });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #build(steps: readonly string[]): void {
    const source = join(this.#folder, 'src');
    mkdirSync(source);
    for (const step of steps) {
      const [, instruction, rest = ''] = /^(\w+) ([\s\S]*)$/.exec(step) ?? [];
      if (instruction === 'COPY') copy(rest.split(/\s+/), source);
      else if (/^RUN npm ci\b/.test(step)) symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
      else if (instruction === 'RUN' && !/^apt-get\b/.test(rest)) shell(rest.replace('/image', this.tree), source);
    }
  }

  #arguments({ command, capabilities = [], mounts = {} }: Container): string[] {
    for (const [target, source] of Object.entries(mounts)) {
      // An engine creates mount points before it makes the root read-only.
      const at = join(this.tree, target);
      if (source.startsWith('/dev/')) writeFileSync(at, '', { flag: 'a' });
      else mkdirSync(at, { recursive: true });
    }
    const pairs = Object.entries(mounts).map(([target, source]) => `${source}:${target}`);
    const numbers = capabilities.map(name => CAPABILITIES[name]!);
    return ['-mn', 'python3', '-c', ENTER, this.tree, numbers.join(','), pairs.join(','), ...command];
  }
}

/** Returns the instructions of the build stage, each as one line. */
function buildStage(text: string): string[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n');
  const [from, next] = lines.flatMap((line, index) => (line.startsWith('FROM ') ? [index] : []));
  return lines.slice(from! + 1, next).filter(line => line !== '');
}

function copy(names: readonly string[], target: string): void {
  const to = join(target, names.at(-1)!);
  for (const pattern of names.slice(0, -1)) {
    const expression = new RegExp(`^${pattern.replace(/\./g, '\\.').replace(/\*/g, '[^/]*')}$`);
    const found = pattern.includes('*') ? readdirSync(ROOT).filter(name => expression.test(name)) : [pattern];
    if (found.length === 0) throw new Error(`COPY ${pattern}: no file matches`);
    for (const name of found)
      cpSync(join(ROOT, name), names.at(-1)!.endsWith('/') ? join(to, basename(name)) : to, {
        recursive: true,
        // the same as in .dockerignore
        filter: path => path !== join(ROOT, 'native/build'),
      });
  }
}

function shell(command: string, cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync('sh', ['-ec', command], {
    cwd,
    encoding: 'utf8',
    timeout: LIMIT * 4,
  });
  if (error || status !== 0) throw new Error(`RUN ${command}: ${error?.message ?? ''}${stdout}${stderr}`);
}
