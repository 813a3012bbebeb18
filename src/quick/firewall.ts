/**
 * What wg-quick puts into nftables beside a default route, and why it is needed.
 *
 * - A host answers for its tunnel address on every interface, so that whoever is on the same cable can find out, from outside, whether a
 *   connection exists inside the tunnel, and speak into it (CVE-2019-14899). `preraw` drops what comes for a tunnel address by another
 *   interface, unless it is the host itself.
 * - With `rp_filter` = 1 and `src_valid_mark` the answers of the peers pass only if they carry the mark of what they answer:
 *   `postmangle` keeps it in the connection, `premangle` takes it from there.
 *
 * The tables have the names that wg-quick gives them, so that either program takes away what the other made.
 */
import type { Family } from '../netlink/family.ts';
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
  /** The interface. */
  readonly name: string;
  readonly mark: number;
  readonly families: readonly Family[];
  /** Of the interface, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

const RAW = -300;
const MANGLE = -150;
const UDP = 17;
/** Of the destination in the IP header. */
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

/** To a tunnel's address, not by the tunnel, and not from this host. */
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
