/** The names of everybody's nftables tables and chains, iptables-nft's among them: to notice other programs by. */
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
/** struct nfgenmsg; family 0 is all of them. */
const HEADER = new Uint8Array(4);
/** What a kernel says that has no nf_tables, and what it says to those who may not look. */
const NONE = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'EINVAL', 'ENOENT', 'EAFNOSUPPORT', 'EPERM'] as const;

/** Lists the chains of all families in this network namespace; none where there is no nf_tables, or no right to look. */
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
    if (isRefusal(error, ...NONE)) return [];
    throw error;
  } finally {
    socket?.close();
  }
}
