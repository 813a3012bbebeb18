/**
 * Where tests run the demos: a mount namespace with an empty /run and without the programs that a
 * fresh Debian lacks. All processes of a run are found by a mark.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { onProcessExit, type Running, type RunOptions, start, until } from './command.ts';
import { ROOT } from './device.ts';

/** Programs of a fresh Debian, and npm. */
const PROGRAMS = ['sh', 'unshare', 'mount', 'flock', 'setpriv', 'npm'];
/** Programs that it lacks, hidden even from code that knows their paths. */
const HIDDEN = ['ip', 'ping', 'wg', 'nft', 'sysctl', 'ifconfig'];
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
let serial = 0;

export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

export class DemoRoom {
  readonly folder = mkdtempSync(join(tmpdir(), 'demo-room-'));
  readonly programs = join(this.folder, 'programs');
  readonly #holder: ChildProcess;
  readonly #forget = onProcessExit(() => this.close());

  private constructor() {
    for (const each of [this.programs, this.temporary]) mkdirSync(each);
    symlinkSync(process.execPath, join(this.programs, 'node'));
    for (const name of PROGRAMS) {
      const [path] = locate(name);
      if (path === undefined) throw new Error(`${name} is not there`);
      symlinkSync(path, join(this.programs, name));
    }
    const hide = 'for path; do mount --bind /dev/null "$path" || exit; done';
    const hold = `${hide}; mount -t tmpfs room /run && exec sleep 1000000`;
    const paths = new Set(HIDDEN.flatMap(locate).map(path => realpathSync(path)));
    this.#holder = spawn('unshare', ['-m', 'sh', '-c', hold, 'sh', ...paths], { stdio: 'ignore' });
  }

  static async open(): Promise<DemoRoom> {
    const room = new DemoRoom();
    const path = `/proc/${room.#holder.pid}/comm`;
    await until('a mount namespace', () => readFileSync(path, 'utf8') === 'sleep\n');
    return room;
  }

  /** $TMPDIR of the runs. */
  get temporary(): string {
    return join(this.folder, 'tmp');
  }

  /** Returns the command line that runs `argv` in this room, in the repository's folder. */
  inside(argv: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.#holder.pid), '-m', `--wd=${ROOT}`, ...argv];
  }

  /** Starts a command whose processes carry the mark. */
  start(argv: readonly string[], options: RunOptions = {}): Running & { readonly mark: string } {
    const mark = `WGTS_TEST_MARK_${process.pid}_${serial++}_`;
    const env = {
      PATH: process.env['PATH'] ?? '',
      TMPDIR: this.temporary,
      // npm of newer Node versions creates a folder there.
      NODE_DISABLE_COMPILE_CACHE: '1',
      npm_config_update_notifier: 'false',
      [mark]: '1',
      ...options.env,
    };
    return { ...start(this.inside(argv), { ...options, env }), mark };
  }

  /** Returns the files in /run and $TMPDIR. */
  files(): string[] {
    const run = spawnSync('nsenter', ['-t', String(this.#holder.pid), '-m', 'ls', '-A', '/run']);
    return [...run.stdout.toString().split('\n').filter(Boolean), ...readdirSync(this.temporary)];
  }

  /** Returns all mounts of this room. A run would mount in its own namespace. */
  mounts(): string {
    // namespaces of tests beside this one were mounted when the room was opened, and end with them
    const lines = readFileSync(`/proc/${this.#holder.pid}/mountinfo`, 'utf8').split('\n');
    return lines.filter(line => !line.includes(' /run/netns/wgts-')).join('\n');
  }

  close(): void {
    this.#forget();
    this.#holder.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Returns the live processes of a run, found by their environment. */
export function marked(mark: string): MarkedProcess[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'latin1').includes(`\0${mark}=`)) return [];
        if (/\) [ZX] /.test(readFileSync(`/proc/${name}/stat`, 'latin1'))) return [];
        return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }];
      } catch {
        // The process has just ended.
        return [];
      }
    });
}

function locate(name: string): string[] {
  return FOLDERS.map(folder => join(folder, name)).filter(path => existsSync(path));
}
