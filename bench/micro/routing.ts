/**
 * Times the lookup of allowed-ips: the trie against the obvious alternative, a map per prefix
 * length.
 */
import { makePrefix, type Prefix } from '#dist/base/prefix.js';
import { AllowedIps } from '#dist/routing/allowed-ips.js';
import { type Contender, type Contest, type Prepared, pattern, type Subject } from './contest.ts';

const SIZES = [10, 1_000, 100_000];
const FAMILIES = [4, 16] as const;
const LOOKUPS = 4096;
/** Realistic prefix lengths: short prefixes are rare, and there is no default route. */
const LENGTHS: Readonly<Record<4 | 16, readonly number[]>> = {
  4: [12, 16, 20, 24, 24, 24, 28, 32, 32, 32, 32, 32],
  16: [32, 40, 48, 56, 64, 64, 64, 96, 128, 128, 128],
};

export const routing: Subject = {
  name: 'routing',
  title: 'Looking up the peer of an address in allowed-ips',
  unit: 'lookup',
  contests: FAMILIES.flatMap(bytes =>
    SIZES.map(size => ({
      name: `IPv${bytes === 4 ? 4 : 6}, ${size.toLocaleString('en')} prefixes`,
      units: LOOKUPS,
      prepare: () => prepare(bytes, size),
    })),
  ) satisfies readonly Contest[],
};

function prepare(bytes: 4 | 16, size: number): Prepared {
  const prefixes = makePrefixes(bytes, size);
  const addresses = makeAddresses(bytes, prefixes);
  const trie = new AllowedIps();
  for (const [peer, prefix] of prefixes.entries()) trie.insert(prefix, peer);
  const maps = new LengthMaps(prefixes);
  const byTrie = seeker('trie', addresses, bytes, at => trie.lookup(addresses, at, bytes));
  const byMaps = seeker('a map for each length', addresses, bytes, at => maps.lookup(addresses, at, bytes));
  return { contenders: [byTrie, byMaps] };
}

function seeker(name: string, addresses: Uint8Array, bytes: number, lookup: (at: number) => number): Contender {
  const found = new Int32Array(addresses.length / bytes);
  return {
    name,
    run() {
      for (let i = 0; i < found.length; i++) found[i] = lookup(i * bytes);
    },
    result: () => new Uint8Array(found.buffer),
  };
}

/** Makes distinct prefixes. The first byte takes few values, so that prefixes nest. */
function makePrefixes(bytes: 4 | 16, size: number): Prefix[] {
  const lengths = LENGTHS[bytes];
  const random = pattern((bytes + 1) * size * 2, bytes);
  const seen = new Map<string, Prefix>();
  for (let at = 0; seen.size < size && at < random.length; at += bytes + 1) {
    const address = random.slice(at, at + bytes);
    address[0] = (bytes === 4 ? 10 : 0xfd) + (address[0]! & 1);
    const prefix = makePrefix(address, lengths[random[at + bytes]! % lengths.length]!);
    seen.set(`${Buffer.from(prefix.address).toString('hex')}/${prefix.length}`, prefix);
  }
  return [...seen.values()];
}

/** Makes addresses; seven of eight lie within one of the prefixes. */
function makeAddresses(bytes: 4 | 16, prefixes: readonly Prefix[]): Uint8Array {
  const addresses = pattern(LOOKUPS * bytes, 99);
  for (let i = 0; i < LOOKUPS; i++) {
    if (i % 8 === 0) continue;
    const { address, length } = prefixes[(i * 7919) % prefixes.length]!;
    for (let j = 0; j < bytes; j++) {
      const host = 0xff >> Math.max(0, Math.min(8, length - 8 * j));
      addresses[i * bytes + j] = address[j]! | (addresses[i * bytes + j]! & host);
    }
  }
  return addresses;
}

/** The reference implementation: looks up each existing prefix length, longest first. */
class LengthMaps {
  readonly #maps: { readonly length: number; readonly peers: Map<string, number> }[];

  constructor(prefixes: readonly Prefix[]) {
    const lengths = [...new Set(prefixes.map(({ length }) => length))].sort((a, b) => b - a);
    this.#maps = lengths.map(length => ({ length, peers: new Map() }));
    for (const [peer, { address, length }] of prefixes.entries())
      this.#maps.find(map => map.length === length)!.peers.set(keyOf(address, 0, address.length, length), peer);
  }

  lookup(slab: Uint8Array, at: number, bytes: number): number {
    for (const { length, peers } of this.#maps) {
      const peer = peers.get(keyOf(slab, at, bytes, length));
      if (peer !== undefined) return peer;
    }
    return -1;
  }
}

function keyOf(slab: Uint8Array, at: number, bytes: number, length: number): string {
  let key = '';
  for (let i = 0; i < bytes; i++) {
    const keep = Math.max(0, Math.min(8, length - 8 * i));
    key += String.fromCharCode(slab[at + i]! & (0xff00 >> keep) & 0xff);
  }
  return key;
}
