/**
 * Whether kube-proxy's or kubelet's packet marks may be in force in this network namespace. Both drop or masquerade what has their bits, so a mark of
 * ours must not have them. A wrong yes costs nothing but another number, so every sign counts: rules where they can be seen (nftables, and
 * iptables by it; iptables-legacy has no netlink), and otherwise who makes them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { listChains } from '../netlink/nft-names.ts';
import type { NetlinkPort } from '../netlink/port.ts';

/** kubelet and kube-proxy, and those that are both in one process. */
const PROGRAMS = new Set(['kubelet', 'kube-proxy', 'k3s', 'k3s-server', 'k3s-agent', 'rke2', 'k0s', 'kubelite']);
const FOLDERS = ['/var/lib/kubelet', '/etc/kubernetes', '/var/run/secrets/kubernetes.io'];

/** @returns the first sign of them, for people: `nftables chain KUBE-MARK-MASQ`, `kubelet is running (process 712)`, `/var/lib/kubelet` */
export async function findKubernetes(
  port: NetlinkPort,
  env: Readonly<Record<string, string | undefined>> = process.env,
  proc = '/proc',
): Promise<string | undefined> {
  for (const { table, name } of await listChains(port))
    if (name.startsWith('KUBE-') || table === 'kube-proxy') return `nftables chain ${name} of table ${table}`;
  const folder = FOLDERS.find(path => existsSync(path));
  if (folder !== undefined) return folder;
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'KUBERNETES_SERVICE_HOST in the environment';
  return findProcess(proc);
}

function findProcess(proc: string): string | undefined {
  for (const pid of entries(proc).filter(entry => /^[0-9]+$/.test(entry))) {
    const program = basename(firstLine(`${proc}/${pid}/cmdline`).split('\0')[0]!);
    const found = [program, firstLine(`${proc}/${pid}/comm`)].find(name => PROGRAMS.has(name));
    if (found !== undefined) return `${found} is running (process ${pid})`;
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

/** Empty for a process that has ended meanwhile. */
function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0]!;
  } catch {
    return '';
  }
}
