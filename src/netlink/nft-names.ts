/**
 * Lists the names of all nftables tables and chains, including those of iptables-nft, to detect
 * other programs.
 */
import { Attributes } from './attributes.ts';
import { isRefusal } from './errors.ts';
import { NETLINK_NETFILTER, type NetlinkPort } from './port.ts';
import { NetlinkSocket } from './socket.ts';

export interface NfChainName {
  readonly table: string;
  readonly name: string;
}

const GET_CHAIN = (10 << 8) | 4;
const CHAIN = { table: 1, name: 3 } as const;
/** struct nfgenmsg; family 0 means all families. */
const HEADER = new Uint8Array(4);
/** The error codes of a kernel without nf_tables, and those for callers without permission. */
const UNAVAILABLE = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'EINVAL', 'ENOENT', 'EAFNOSUPPORT', 'EPERM'] as const;

/**
 * Lists the chains of all families in this network namespace. The list is empty without nf_tables
 * or without permission.
 */
export async function listChains(port: NetlinkPort): Promise<NfChainName[]> {
  let socket: NetlinkSocket | undefined;
  try {
    socket = new NetlinkSocket(port, NETLINK_NETFILTER);
    const messages = await socket.dump('listing nftables chains', GET_CHAIN, HEADER);
    return messages.map(({ body }) => {
      const attributes = Attributes.parse(body.subarray(HEADER.length), 'a chain');
      return { table: attributes.string(CHAIN.table) ?? '', name: attributes.string(CHAIN.name) ?? '' };
    });
  } catch (error) {
    if (isRefusal(error, ...UNAVAILABLE)) return [];
    throw error;
  } finally {
    socket?.close();
  }
}
