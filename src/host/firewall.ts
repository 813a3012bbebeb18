/**
 * Installs the firewall of src/quick as far as this kernel supports it. Small kernels lack
 * nf_tables or parts of it; on those the tunnel works with less protection.
 */
import { isRefusal } from '../netlink/errors.ts';
import { type NfTable, removeTables, replaceTables } from '../netlink/nftables.ts';
import type { NetlinkPort } from '../netlink/port.ts';

/** Error codes of a kernel without nf_tables, or without an expression or a chain type. */
const NO_NFTABLES = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOENT', 'EINVAL', 'EAFNOSUPPORT'] as const;

/** What each unsupported part of the firewall means for the user. */
const PARTS = [
  { chains: ['preraw'], lost: "neighbours may probe the tunnel's addresses (CVE-2019-14899; needs nft_fib)" },
  { chains: ['premangle', 'postmangle'], lost: 'with rp_filter=1 peers may not be heard (needs nft_ct)' },
] as const;

/**
 * Installs the firewall. @param warn receives a message that lists what this kernel cannot protect
 */
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
  warn(`${refusal.message}; continuing without: ${lost.join('; ')}`);
}

/** Tries to install rules. @returns the error if the kernel does not support them */
async function tryTables(port: NetlinkPort, tables: readonly NfTable[]): Promise<Error | undefined> {
  try {
    await replaceTables(port, tables);
    return undefined;
  } catch (error) {
    if (isRefusal(error, ...NO_NFTABLES)) return error;
    throw error;
  }
}

/**
 * Removes both tables, if they exist.
 * @throws NetlinkError for the first table that cannot be removed, after trying both
 */
export async function removeFirewall(port: NetlinkPort, name: string): Promise<void> {
  const failures: unknown[] = [];
  // one request per table: a kernel without IPv6 refuses only the IPv6 table
  for (const family of [4, 6] as const)
    try {
      await removeTables(port, [{ family, name }]);
    } catch (error) {
      if (!isRefusal(error, ...NO_NFTABLES)) failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
}
