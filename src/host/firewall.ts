/**
 * The firewall of src/quick in this kernel, or as much of it as this kernel has means for: the tunnel works without, only less well protected, and small
 * kernels, which lack parts of nf_tables or all, are what this program is for.
 */
import { isRefusal } from '../netlink/errors.ts';
import { type NfTable, removeTables, replaceTables } from '../netlink/nftables.ts';
import type { NetlinkPort } from '../netlink/port.ts';

/** What a kernel says that has no nf_tables, or lacks an expression or a kind of chain. */
const NO_NFTABLES = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOENT', 'EINVAL', 'EAFNOSUPPORT'] as const;

/** What is lost with each part of the firewall that a kernel has no means for. */
const PARTS = [
  { chains: ['preraw'], lost: "neighbours may probe the tunnel's addresses (CVE-2019-14899; wants nft_fib)" },
  { chains: ['premangle', 'postmangle'], lost: 'with rp_filter=1 peers may not be heard (wants nft_ct)' },
] as const;

/** @param warn is told what is lost, where something is */
export async function setFirewall(
  port: NetlinkPort,
  tables: readonly NfTable[],
  warn: (text: string) => void,
): Promise<void> {
  const refusal = await tryTables(port, tables);
  if (!refusal) return;
  let lost: readonly string[] = PARTS.map(part => part.lost);
  for (const part of PARTS) {
    const chains: readonly string[] = part.chains;
    const reduced = tables.map(table => ({
      ...table,
      chains: table.chains.filter(({ name }) => chains.includes(name)),
    }));
    if (await tryTables(port, reduced)) continue;
    lost = lost.filter(text => text !== part.lost);
    break;
  }
  warn(`${refusal.message}; going on without: ${lost.join('; ')}`);
}

/** @returns what a kernel says that has no means for it */
async function tryTables(port: NetlinkPort, tables: readonly NfTable[]): Promise<Error | undefined> {
  try {
    await replaceTables(port, tables);
    return undefined;
  } catch (error) {
    if (isRefusal(error, ...NO_NFTABLES)) return error;
    throw error;
  }
}

/** Whether or not it is there. @throws NetlinkError for the first that cannot be removed; the other is, if it can be */
export async function removeFirewall(port: NetlinkPort, name: string): Promise<void> {
  const failures: unknown[] = [];
  // one after the other: a kernel without IPv6 refuses only that one
  for (const family of [4, 6] as const)
    try {
      await removeTables(port, [{ family, name }]);
    } catch (error) {
      if (!isRefusal(error, ...NO_NFTABLES)) failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
}
