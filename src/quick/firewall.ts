/**
 * The nftables rules that wg-quick adds beside a default route, and the reasons for them.
 *
 * - A host answers for its tunnel address on every interface. An attacker on the same network could
 *   find out whether a connection exists inside the tunnel, and inject packets into it
 *   (CVE-2019-14899). `preraw` drops packets for a tunnel address that arrive on another interface,
 *   unless the host itself sent them.
 * - With `rp_filter` = 1 and `src_valid_mark`, the answers of peers are accepted only with the mark
 *   of the packets that they answer. `postmangle` stores the mark in the connection, `premangle`
 *   restores it.
 *
 * The tables have wg-quick's names, so that either program can remove the tables of the other.
 */
import type { Family } from '../base/family.ts';
import {
  compare,
  drop,
  type Expression,
  loadConnectionMark,
  loadMeta,
  loadNetworkHeader,
  loadSourceType,
  nameValue,
  numberValue,
  setConnectionMark,
  setMetaMark,
} from '../netlink/nft-expression.ts';
import type { NfTable } from '../netlink/nftables.ts';
import { ROUTE_TYPE } from '../netlink/route.ts';

export interface FirewallPlan {
  /** Name of the interface. */
  readonly name: string;
  readonly mark: number;
  readonly families: readonly Family[];
  /** Addresses of the interface, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

const RAW = -300;
const MANGLE = -150;
const UDP = 17;
/** Offset of the destination address in the IP header. */
const DESTINATION = { 4: 16, 6: 24 } as const;

export function firewallTableName(name: string): string {
  return `wg-quick-${name}`;
}

export function firewallTables({ name, mark, families, addresses }: FirewallPlan): NfTable[] {
  return families.map(family => ({
    family,
    name: firewallTableName(name),
    chains: [
      {
        name: 'preraw',
        hook: 'prerouting',
        priority: RAW,
        rules: addresses
          .filter(({ length }) => length === (family === 4 ? 4 : 16))
          .map(address => spoofed(name, address, family)),
      },
      {
        name: 'premangle',
        hook: 'prerouting',
        priority: MANGLE,
        rules: [[...isUdp(), loadConnectionMark(), setMetaMark()]],
      },
      {
        name: 'postmangle',
        hook: 'postrouting',
        priority: MANGLE,
        rules: [[...isUdp(), loadMeta('mark'), compare('==', numberValue(mark)), setConnectionMark()]],
      },
    ],
  }));
}

/**
 * Matches packets to a tunnel address that neither arrive through the tunnel nor come from this
 * host.
 */
function spoofed(name: string, address: Uint8Array, family: Family): Expression[] {
  return [
    loadMeta('inputName'),
    compare('!=', nameValue(name)),
    loadNetworkHeader(DESTINATION[family], address.length),
    compare('==', address),
    loadSourceType(),
    compare('!=', numberValue(ROUTE_TYPE.local)),
    drop(),
  ];
}

function isUdp(): Expression[] {
  return [loadMeta('l4Protocol'), compare('==', Uint8Array.of(UDP))];
}
