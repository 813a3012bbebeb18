/**
 * A laboratory of network namespaces with unique names, cables between them, and processes inside;
 * one close() removes everything. Needs root and iproute2.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onProcessExit, type Result, type Running, type RunOptions, run, runNow, start } from './command.ts';

let serial = 0;

/**
 * Returns characters that no other lab on this machine uses now: the pid and a count, in few
 * letters.
 */
function uniqueTag(): string {
  return `${process.pid.toString(36)}${(serial++).toString(36)}`;
}

export class Namespace {
  readonly #name: string;
  readonly #running: Running[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  get name(): string {
    return this.#name;
  }

  /** Returns the command line that runs `argv` inside. */
  inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.#name, ...argv];
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Result> {
    return run(this.inside(argv), options);
  }

  /** Starts a command, which the lab's close() ends at the latest. */
  start(argv: readonly string[], options?: RunOptions): Running {
    const running = start(this.inside(argv), options);
    this.#running.push(running);
    return running;
  }

  /** Runs `ip` commands, one a line, without the word `ip`. */
  async ip(...lines: string[]): Promise<void> {
    await run(['ip', '-n', this.#name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  async sysctl(...settings: string[]): Promise<void> {
    await this.run(['sysctl', '-qw', ...settings]);
  }

  /** Loads an nftables ruleset. */
  async nft(rules: string): Promise<void> {
    await this.run(['nft', '-f', '-'], { input: `${rules}\n` });
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.#running.map(running => running.stop()));
    this.#running.length = 0;
  }
}

export class Lab {
  readonly tag = uniqueTag();
  /** This lab's own directory, removed with it. */
  readonly directory = mkdtempSync(join(tmpdir(), 'wireguard-lab-'));
  readonly #namespaces: Namespace[] = [];
  readonly #leftovers: string[] = [];
  readonly #forget: () => void;
  #files = 0;
  #interfaces = 0;
  #closed = false;

  constructor() {
    this.#forget = onProcessExit(() => this.#closeNow());
  }

  /** Creates a namespace with loopback up and without duplicate address detection. */
  async namespace(label: string): Promise<Namespace> {
    const name = `wgts-${label}-${this.tag}`;
    await run(['ip', 'netns', 'add', name]);
    const namespace = new Namespace(name);
    this.#namespaces.push(namespace);
    await namespace.ip('link set lo up');
    await namespace.sysctl(
      'net.ipv6.conf.all.accept_dad=0',
      'net.ipv6.conf.default.accept_dad=0',
      'net.ipv4.conf.all.promote_secondaries=1',
    );
    return namespace;
  }

  /** Connects two namespaces. Addresses are CIDR; both ends come up. */
  async cable(
    a: Namespace,
    aName: string,
    aAddresses: readonly string[],
    b: Namespace,
    bName: string,
    bAddresses: readonly string[],
  ): Promise<void> {
    await a.ip(`link add ${aName} type veth peer name ${bName} netns ${b.name}`);
    const dress = (name: string, addresses: readonly string[]): string[] => [
      ...addresses.map(address => `addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`),
      `link set ${name} up`,
    ];
    await a.ip(...dress(aName, aAddresses));
    await b.ip(...dress(bName, bAddresses));
  }

  /**
   * Returns an interface name that no other lab uses: WireGuard's sockets share one directory on
   * the whole machine.
   */
  interfaceName(): string {
    return `w${this.tag}-${(this.#interfaces++).toString(36)}`.slice(-15);
  }

  /** Writes a file, readable only by its owner, into the lab's directory and returns its path. */
  file(content: string, name = `file-${this.#files++}`): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  /**
   * Registers a file outside the lab's directory that is removed at the end, whichever process
   * created it.
   */
  owns(path: string): void {
    this.#leftovers.push(path);
  }

  /** Ends all processes, then removes the namespaces and files. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(this.#namespaces.map(namespace => namespace.stopAll()));
    await Promise.all(
      this.#namespaces.map(async namespace => {
        const left = await run(['ip', 'netns', 'pids', namespace.name], { mayFail: true });
        killAll(left.stdout);
        await run(['ip', 'netns', 'del', namespace.name], { mayFail: true });
      }),
    );
    this.#removeFiles();
    this.#forget();
  }

  #closeNow(): void {
    if (this.#closed) return;
    for (const { name } of this.#namespaces) {
      killAll(runNow(['ip', 'netns', 'pids', name]));
      runNow(['ip', 'netns', 'del', name]);
    }
    this.#removeFiles();
  }

  #removeFiles(): void {
    for (const path of [this.directory, ...this.#leftovers]) rmSync(path, { recursive: true, force: true });
  }
}

/** Kills the processes inside a namespace of ours (daemons that left their parent), by pid. */
function killAll(pids: string): void {
  for (const pid of pids.split('\n').map(Number)) {
    if (!(pid > 1)) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process ended by itself.
    }
  }
}
