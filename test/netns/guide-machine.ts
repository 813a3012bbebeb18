/**
 * A machine that a guide's commands can have for themselves: a network namespace with its own /etc, /run and /var/log, so that `/etc/wireguard`,
 * `wg0` and its control socket are this machine's alone and nothing is left on the host.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Result, type Running, type RunOptions, run, start, until } from './command.ts';
import type { Lab, Namespace } from './lab.ts';

/** What the namespace's first process does before the machine is ready: changes of these folders stay in memory. */
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

  /** @param bin the folder that has `wgts` and `wireguard-ts`, before all others on the PATH */
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

  /** Runs a piece of shell as a person would who stops at the first command that fails. */
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
    // in its own /var/log: the host's system log would take it, and other tests have none
    return { mayFail: true, ...options, env: { PATH: this.#path, WGTS_LOG: 'file', ...env } };
  }
}
