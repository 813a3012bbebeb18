/**
 * The needs of tests, and how to provide them. This table is the one source for skipped tests, for
 * the summary that ends a run (test/support/skip-summary.ts), and for its apt line.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { MEMORY_GROUPS, MEMORY_LIMIT_FILE } from './memory-group.ts';
import { hasShared } from './shared.ts';

/** Groups of the summary. A test belongs to the first group that contains one of its needs. */
const GROUPS = [
  'real kernel module (qemu)',
  "Kubernetes' servers",
  'data of others (../shared)',
  'other architectures (qemu-user)',
  'network namespaces',
  "Go's libraries as reference",
  'C compiler',
  'other programs',
] as const;
export type Group = (typeof GROUPS)[number];

const DATA_OF_OTHERS = 'data of other projects in ../shared, as vectors/README.md lists it';

interface Source {
  readonly group: Group;
  /** Debian packages that provide it, separated by spaces. */
  readonly apt?: string;
  /** What to do if no package provides it. */
  readonly otherwise?: string;
  /** Whether it is present. By default: whether a program of this name is in PATH. */
  readonly present?: () => boolean;
}

const SOURCES = {
  // rights and devices
  root: { group: 'network namespaces', otherwise: 'run as root', present: () => process.getuid?.() === 0 },
  tun: { group: 'network namespaces', otherwise: 'modprobe tun, on the host of a container', present: tunOpens },
  namespaces: {
    group: 'network namespaces',
    otherwise: 'run where network namespaces may be made',
    present: namespacesWork,
  },
  'memory-limit': {
    group: 'other programs',
    otherwise: 'run as root where control groups with a memory limit may be made',
    present: memoryLimitsWork,
  },
  addon: { group: 'C compiler', apt: 'gcc libc6-dev', present: addonLoads },
  // the network
  ip: { group: 'network namespaces', apt: 'iproute2' },
  ss: { group: 'network namespaces', apt: 'iproute2' },
  ping: { group: 'network namespaces', apt: 'iputils-ping' },
  sysctl: { group: 'network namespaces', apt: 'procps' },
  wg: { group: 'network namespaces', apt: 'wireguard-tools' },
  'wg-quick': { group: 'network namespaces', apt: 'wireguard-tools' },
  'wireguard-go': { group: 'network namespaces', apt: 'wireguard-go' },
  nft: { group: 'network namespaces', apt: 'nftables' },
  'iptables-legacy': { group: 'network namespaces', apt: 'iptables' },
  'iptables-nft': { group: 'network namespaces', apt: 'iptables' },
  iperf3: { group: 'network namespaces', apt: 'iperf3' },
  tcpdump: { group: 'network namespaces', apt: 'tcpdump' },
  tshark: { group: 'network namespaces', apt: 'tshark' },
  socat: { group: 'network namespaces', apt: 'socat' },
  python3: { group: 'network namespaces', apt: 'python3' },
  unshare: { group: 'network namespaces', apt: 'util-linux' },
  setpriv: { group: 'network namespaces', apt: 'util-linux' },
  // the real module
  'qemu-system-x86_64': { group: 'real kernel module (qemu)', apt: 'qemu-system-x86' },
  'dbus-daemon': { group: 'other programs', apt: 'dbus-daemon' },
  busybox: { group: 'other programs', apt: 'busybox-static' },
  modprobe: { group: 'real kernel module (qemu)', apt: 'kmod' },
  rmmod: { group: 'real kernel module (qemu)', apt: 'kmod' },
  xz: { group: 'real kernel module (qemu)', apt: 'xz-utils' },
  musl: {
    group: 'other architectures (qemu-user)',
    apt: 'musl',
    present: () => existsSync('/lib/ld-musl-x86_64.so.1'),
  },
  // a control plane
  'kube-apiserver': {
    group: "Kubernetes' servers",
    otherwise: "Kubernetes' kube-apiserver and etcd, their folder in KUBEBUILDER_ASSETS",
    present: () => kubernetesServers() !== undefined,
  },
  openssl: { group: "Kubernetes' servers", apt: 'openssl' },
  // real nodes
  containerd: { group: "Kubernetes' servers", apt: 'containerd' },
  runc: { group: "Kubernetes' servers", apt: 'runc' },
  'cni-plugins': {
    group: "Kubernetes' servers",
    apt: 'containernetworking-plugins',
    present: () => existsSync('/usr/lib/cni/ptp'),
  },
  // data beside the project that is not ours to copy
  '../shared/vectors': {
    group: 'data of others (../shared)',
    otherwise: DATA_OF_OTHERS,
    present: () => hasShared('vectors'),
  },
  '../shared/calico': {
    group: 'data of others (../shared)',
    otherwise: DATA_OF_OTHERS,
    present: () => hasShared('calico'),
  },
  // compilers and the like
  go: { group: "Go's libraries as reference", apt: 'golang-go' },
  cc: { group: 'C compiler', apt: 'gcc libc6-dev' },
  libasan: { group: 'C compiler', apt: 'gcc libc6-dev', present: libasanLinks },
  bash: { group: 'other programs', apt: 'bash' },
  zsh: { group: 'other programs', apt: 'zsh' },
  fish: { group: 'other programs', apt: 'fish' },
  mandoc: { group: 'other programs', apt: 'mandoc' },
  man: { group: 'other programs', apt: 'man-db groff' },
  'systemd-analyze': { group: 'other programs', apt: 'systemd' },
} as const satisfies Readonly<Record<string, Source>>;

export type Need = keyof typeof SOURCES;

const known = new Map<Need, boolean>();

/** Returns the needs that this machine lacks. */
export function missingOf(needs: readonly Need[]): Need[] {
  return needs.filter(need => !isPresent(need));
}

export function groupOf(needs: readonly Need[]): Group {
  const groups: readonly Group[] = needs.map(need => SOURCES[need].group);
  return GROUPS.find(group => groups.includes(group)) ?? 'other programs';
}

/** Returns what to do about a missing need. */
export function remedyFor(need: Need): string {
  const { apt, otherwise }: Source = SOURCES[need];
  return [
    ...(apt === undefined ? [] : [`apt-get install ${apt}`]),
    ...(otherwise === undefined ? [] : [otherwise]),
  ].join('; ');
}

export interface Remedies {
  /** Sorted, without duplicates. */
  readonly packages: readonly string[];
  /** Whole phrases for needs that no package provides. */
  readonly others: readonly string[];
}

/** Returns how to provide everything that this machine lacks for the tests. */
export function remedies(): Remedies {
  const sources: readonly Source[] = missingOf(Object.keys(SOURCES) as Need[]).map(need => SOURCES[need]);
  const packages = new Set(sources.flatMap(({ apt }) => apt?.split(' ') ?? []));
  // The package is installed, but the need requires more than that.
  if (isPresent('go')) packages.delete('golang-go');
  const others = new Set(sources.flatMap(({ otherwise }) => otherwise ?? []));
  return { packages: [...packages].sort(), others: [...others] };
}

/**
 * Returns the folder with kube-apiserver and etcd, if there is one: KUBEBUILDER_ASSETS, or the
 * user's cache folder.
 */
export function kubernetesServers(): string | undefined {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kube-assets');
  return [process.env['KUBEBUILDER_ASSETS'], cache].find(
    folder => folder && ['kube-apiserver', 'etcd'].every(name => existsSync(join(folder, name))),
  );
}

function isPresent(need: Need): boolean {
  let answer = known.get(need);
  if (answer === undefined) {
    const { present }: Source = SOURCES[need];
    answer = present ? present() : isInPath(need);
    known.set(need, answer);
  }
  return answer;
}

function isInPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return folders.some(folder => existsSync(join(folder, program)));
}

/** Returns whether the device can be opened: a container may show it without access. */
function tunOpens(): boolean {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns whether namespaces work: a container's root may lack the right, and some systems deny it
 * to users.
 */
function namespacesWork(): boolean {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return spawnSync('unshare', [...user, '--net', '--mount', 'true'], { stdio: 'ignore' }).status === 0;
}

function memoryLimitsWork(): boolean {
  const group = join(MEMORY_GROUPS, `wgts-test-probe-${process.pid}`);
  try {
    mkdirSync(group);
  } catch {
    return false;
  }
  try {
    return existsSync(join(group, MEMORY_LIMIT_FILE));
  } finally {
    rmdirSync(group);
  }
}

function addonLoads(): boolean {
  try {
    nativeBinding();
    return true;
  } catch {
    return false;
  }
}

/** A compiler prints an unknown file name unchanged. */
function libasanLinks(): boolean {
  const { stdout } = spawnSync(process.env['CC'] ?? 'cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  return typeof stdout === 'string' && stdout.includes('/');
}
