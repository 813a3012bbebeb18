/** The same cluster in IPv4, in IPv6 and in both, so each test runs in three modes. */
import type { Family } from '../../src/base/family.ts';
import type { ClusterNode, FelixConfiguration, IpamBlock, PerFamily } from '../../src/calico/model/cluster.ts';
import { block, configuration, key, type NodeFields, node } from './calico-cluster.ts';

export const MODES: readonly { readonly mode: string; readonly families: readonly Family[] }[] = [
  { mode: 'IPv4', families: [4] },
  { mode: 'IPv6', families: [6] },
  { mode: 'both', families: [4, 6] },
];

export const PORT: Readonly<Record<Family, number>> = { 4: 51820, 6: 51821 };

/** Returns the address of a node by its number. */
export const hostOf = (family: Family, number: number) => (family === 4 ? `172.16.0.${number}` : `fd00::${number}`);
/** Returns the block of a node by its number. */
export const blockOf = (family: Family, number: number) =>
  family === 4 ? `10.0.${number}.0/26` : `fd10:0:0:${number}::/122`;
/** Returns the address of the node's block, without the prefix length. */
export const inBlock = (family: Family, number: number, last: number) =>
  family === 4 ? `10.0.${number}.${last}` : `fd10:0:0:${number}::${last}`;
export const alone = (family: Family, text: string) => `${text}/${family === 4 ? 32 : 128}`;

export const per = <T>(families: readonly Family[], make: (family: Family) => T): PerFamily<T> =>
  Object.fromEntries(families.map(family => [family, make(family)]));

/** Returns key `number`, or `number + 1000` for IPv6, which has its own keys. */
export const keyOf = (family: Family, number: number) => key(family === 4 ? number : number + 1000);

/** Returns a node with an address and a key in each family. */
export function member(families: readonly Family[], name: string, number: number, more: NodeFields = {}): ClusterNode {
  return node(name, {
    bgp: per(families, family => hostOf(family, number)),
    key: per(families, family => keyOf(family, number)),
    ...more,
  });
}

export function blocksOf(families: readonly Family[], number: number, owner: string | undefined): readonly IpamBlock[] {
  return families.map(family => block(blockOf(family, number), owner));
}

/** Assigns an address of block 9, which no node owns, to each node: `a 5`. */
export function assigned(families: readonly Family[], ...holders: readonly string[]): readonly IpamBlock[] {
  return families.map(family => {
    const addresses = holders.map(each => each.split(' ') as [string, string]);
    return block(
      blockOf(family, 9),
      undefined,
      ...addresses.map(([name, last]) => `${inBlock(family, 9, Number(last))} ${name}`),
    );
  });
}

export function enabled(
  families: readonly Family[],
  more: Readonly<Record<string, string | number | boolean>> = {},
): FelixConfiguration {
  return configuration('default', {
    WireguardEnabled: families.includes(4),
    WireguardEnabledV6: families.includes(6),
    ...more,
  });
}
