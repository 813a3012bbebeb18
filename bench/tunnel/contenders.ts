/**
 * Finds the contenders: this program with and without its optional library, every other WireGuard
 * on this machine, and the cable without a tunnel. contender-device.ts starts them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { nativeBinding } from '#dist/io/native-binding.js';
import { type ContenderFacts, ROOT } from '../results.ts';
import { run } from './command.ts';

export interface Contender extends ContenderFacts {
  /**
   * Returns the command line that creates the interface and stays in the foreground; empty for the
   * kernel module and for the cable without a tunnel.
   */
  command(interfaceName: string, args: readonly string[]): string[];
  /**
   * Options for the case that all peers share one address and port, which happens only in
   * benchmarks.
   */
  readonly oneSource: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The cable without a tunnel, for comparison. */
const BARE = 'no tunnel';
const OURS = 'wireguard-ts';

/**
 * Returns all contenders found, ours first. Call it only inside the namespaces (enter.ts), because
 * it briefly creates a kernel interface.
 */
export async function findContenders(): Promise<Contender[]> {
  return [...ours(), ...others(), ...(await kernel()), contender({ name: BARE, kind: 'bare', version: '' })];
}

function ours(): Contender[] {
  const script = join(ROOT, 'dist/program/wireguard-ts.cjs');
  const base = { kind: 'ours', start: [process.execPath, script, '-f'] } as const;
  const version = `${ownVersion()}, Node ${process.versions.node}`;
  const usable = nativeBinding()
    .cipherProviders()
    .filter(provider => provider.nanoseconds !== undefined)
    .sort((a, b) => a.nanoseconds! - b.nanoseconds!)
    .map(provider => provider.name);
  const optional = usable.includes('ipsec-mb');
  // The provider that the program uses if the library is not installed.
  const [without] = usable.filter(name => name !== 'ipsec-mb');
  return [
    contender({ ...base, name: OURS, version: `${version}, ${optional ? 'libIPSec_MB' : 'OpenSSL'}` }),
    ...(optional && without !== undefined
      ? [
          contender({
            ...base,
            name: `${OURS} (openssl)`,
            version: `${version}, nothing optional`,
            env: { WGTS_AEAD: without },
          }),
        ]
      : []),
    // it has the lanes only where there is more than one processor
    contender({ ...base, name: `${OURS} (1 thread)`, version, env: { WGTS_THREADS: '1' } }),
    contender({
      ...base,
      name: `${OURS} (pure)`,
      version: `${version}, no native code except for the TUN`,
      start: [...base.start, '--backend=pure'],
    }),
  ];
}

function others(): Contender[] {
  const programs = [
    { name: 'wireguard-go', start: ['-f'], oneSource: [] },
    // Tailscale's fork, under the name that docs/benchmarks.md gives its binary.
    { name: 'wireguard-go-tailscale', start: ['-f'], oneSource: [] },
    // boringtun connects a socket to each peer; the first of them would receive the packets for
    // all.
    { name: 'boringtun-cli', start: ['-f', '--disable-drop-privileges'], oneSource: ['--disable-connected-udp'] },
    { name: 'gotatun', start: ['-f', '--disable-drop-privileges'], oneSource: [] },
  ];
  return programs.flatMap(({ name, start, oneSource }) => {
    const path = findProgram(name);
    if (path === undefined) return [];
    const version = versionOf(path);
    return [contender({ name, kind: 'other', version, start: [path, ...start], oneSource })];
  });
}

async function kernel(): Promise<Contender[]> {
  try {
    await run(['ip', 'link', 'add', 'probe', 'type', 'wireguard']);
    await run(['ip', 'link', 'del', 'probe']);
  } catch {
    return [];
  }
  return [contender({ name: 'kernel', kind: 'kernel', version: 'the module of the kernel above' })];
}

interface ContenderSpec extends ContenderFacts {
  readonly start?: readonly string[];
  readonly oneSource?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function contender({ name, kind, version, start = [], oneSource = [], env = {} }: ContenderSpec): Contender {
  return {
    name,
    kind,
    version,
    env,
    oneSource,
    command: (device, args) => (start.length === 0 ? [] : [...start, ...args, device]),
  };
}

/**
 * Returns the path of a program. Searches a folder of the cache first, where the newest versions
 * are built; a distribution's version on PATH may be years old.
 */
function findProgram(name: string): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const folders = [join(cache, 'wireguard-peers'), ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.map(folder => join(folder, name)).find(path => existsSync(path));
}

/** Returns the version that was built: what wireguard-go prints is a constant of its source. */
function versionOf(path: string): string {
  const built = goModule(path);
  if (built !== undefined) return built;
  try {
    const text = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 5000 });
    return /v?\d+\.\d+\S*/.exec(text)?.[0].replace(/^v/, '') ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

/**
 * Returns module version and compiler of a Go program; undefined for other programs, for those that
 * were built without a module's version, and on machines without Go.
 */
function goModule(path: string): string | undefined {
  try {
    const text = execFileSync('go', ['version', '-m', path], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    });
    return parseGoVersion(text);
  } catch {
    return undefined;
  }
}

/** Parses what `go version -m` prints. */
export function parseGoVersion(text: string): string | undefined {
  const compiler = /: (go\S+)/.exec(text)?.[1];
  const version = /^\tmod\t\S+\tv(\S+)/m.exec(text)?.[1];
  return compiler === undefined || version === undefined ? undefined : `${version}, ${compiler}`;
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const commit = commitOf();
  return commit === '' ? version : `${version} (${commit})`;
}

/** Returns the commit of this clone, with `-dirty` if files have changed; empty without git. */
export function commitOf(): string {
  try {
    const text = execFileSync('git', ['-C', ROOT, 'describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.trim();
  } catch {
    return '';
  }
}
