/**
 * A private machine for the commands of a guide: a network namespace with its own /etc, /run and
 * /var/log. `/etc/wireguard`, `wg0` and its control socket belong to this machine alone, and the
 * host keeps nothing.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Result, type Running, type RunOptions, run, start, until } from './command.ts';
import type { Lab, Namespace } from './lab.ts';

/**
 * Commands of the namespace's first process before the machine is ready. Changes in these folders
 * stay in memory.
 */
const PRIVATE_FOLDERS = [
  'mount -t tmpfs tmpfs "$1"',
  'mkdir "$1/upper" "$1/work"',
  'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc',
  'mount -t tmpfs -o mode=755 tmpfs /run',
  'mount -t tmpfs -o mode=755 tmpfs /var/log',
  'echo ready',
  'exec sleep infinity',
].join(' && ');

export class GuideMachine {
  readonly namespace: Namespace;
  readonly #keeper: Running;
  readonly #path: string;

  private constructor(namespace: Namespace, keeper: Running, path: string) {
    this.namespace = namespace;
    this.#keeper = keeper;
    this.#path = path;
  }

  /** @param bin the folder with `wgts` and `wireguard-ts`, first on the PATH */
  static async start(lab: Lab, label: string, bin: string): Promise<GuideMachine> {
    const namespace = await lab.namespace(label);
    const folder = join(lab.directory, label);
    mkdirSync(folder);
    const keeper = namespace.start(['unshare', '--mount', 'sh', '-euc', PRIVATE_FOLDERS, 'sh', folder]);
    await until(`the machine ${label}`, () => {
      if (keeper.result()) throw new Error(`the machine ${label} did not start: ${keeper.output()}`);
      return keeper.stdout().includes('ready');
    });
    return new GuideMachine(namespace, keeper, [bin, process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(':'));
  }

  /** Runs shell commands and stops at the first that fails, as a careful reader would. */
  shell(text: string, options: RunOptions = {}): Promise<Result> {
    return run(this.#inside(text, options.cwd), this.#with(options));
  }

  startShell(text: string, options: RunOptions = {}): Running {
    return start(this.#inside(text, options.cwd), this.#with(options));
  }

  #inside(text: string, cwd = '/'): string[] {
    const { pid } = this.#keeper;
    return [
      'nsenter',
      `--target=${pid}`,
      '--mount',
      '--net',
      `--wd=${cwd}`,
      'bash',
      '--norc',
      '-euo',
      'pipefail',
      '-c',
      text,
    ];
  }

  #with({ env, ...options }: RunOptions): RunOptions {
    // Log to its own /var/log: otherwise the host's system log would get the lines, and other tests
    // expect none there.
    return { mayFail: true, ...options, env: { PATH: this.#path, WGTS_LOG: 'file', ...env } };
  }
}
