/**
 * Detects whether the packet marks of kube-proxy or kubelet may be active in this network
 * namespace. Both programs drop or masquerade packets with their mark bits, so our mark must not
 * contain those bits. A false positive only leads to a different mark, so any sign counts. The
 * first signs are rules: those in nftables (including iptables-nft), and those of iptables-legacy,
 * which only its own program can list. Other signs are folders and running programs of Kubernetes.
 * The environment of a pod is not a sign, because a pod mostly has a separate network namespace.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { listChains } from '../netlink/nft-names.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import { findProgram } from './program.ts';

/** kubelet, kube-proxy, and programs that include both. */
const PROGRAMS = new Set(['kubelet', 'kube-proxy', 'k3s', 'k3s-server', 'k3s-agent', 'rke2', 'k0s', 'kubelite']);
const FOLDERS = ['/var/lib/kubelet', '/etc/kubernetes'];

/**
 * Looks for signs of Kubernetes.
 * @returns the first sign, for people: `nftables chain KUBE-MARK-MASQ of table nat`, `kubelet is
 * running (process 712)`, `/var/lib/kubelet`
 */
export async function findKubernetes(port: NetlinkPort, proc = '/proc'): Promise<string | undefined> {
  for (const { table, name } of await listChains(port))
    if (name.startsWith('KUBE-') || table === 'kube-proxy') return `nftables chain ${name} of table ${table}`;
  const legacy = await findLegacyChain(proc);
  if (legacy !== undefined) return `iptables-legacy chain ${legacy}`;
  const folder = FOLDERS.find(path => existsSync(path));
  if (folder !== undefined) return folder;
  return findProcess(proc);
}

/**
 * Returns the first chain of Kubernetes in iptables-legacy. Runs iptables' program only if this
 * namespace has such tables, because the program would make the kernel load them.
 */
async function findLegacyChain(proc: string): Promise<string | undefined> {
  for (const [names, programs] of LEGACY) {
    if (firstLine(`${proc}/net/${names}`) === '') continue;
    const program = programs.map(name => findProgram(name)).find(path => path !== undefined);
    const chain = program && /^:(KUBE-\S+) /m.exec(await outputOf(program))?.[1];
    if (chain) return chain;
  }
  return undefined;
}

const LEGACY = [
  ['ip_tables_names', ['iptables-legacy-save', 'iptables-save']],
  ['ip6_tables_names', ['ip6tables-legacy-save', 'ip6tables-save']],
] as const;
/** A node of a large cluster has tens of thousands of rules, so the output is large. */
const LEGACY_LIMITS = { timeout: 10_000, maxBuffer: 256 * 1024 * 1024 };

/** Returns the output of a program; an empty text if the program fails. */
function outputOf(program: string): Promise<string> {
  return new Promise(resolve => execFile(program, LEGACY_LIMITS, (_error, stdout) => resolve(stdout)));
}

/** Searches only processes of this network namespace. Others create their rules elsewhere. */
function findProcess(proc: string): string | undefined {
  const own = linkOf(`${proc}/self/ns/net`);
  for (const pid of entries(proc).filter(entry => /^[0-9]+$/.test(entry))) {
    const program = basename(firstLine(`${proc}/${pid}/cmdline`).split('\0')[0]!);
    const found = [program, firstLine(`${proc}/${pid}/comm`)].find(name => PROGRAMS.has(name));
    if (found !== undefined && linkOf(`${proc}/${pid}/ns/net`) === own) return `${found} is running (process ${pid})`;
  }
  return undefined;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Returns the target of a link; undefined if it cannot be read. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Returns the first line of a file; an empty text for a process that has ended. */
function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0]!;
  } catch {
    return '';
  }
}
