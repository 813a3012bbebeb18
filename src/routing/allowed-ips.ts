/**
 * Allowed IPs: the table of cryptokey routing (whitepaper section 2). A path-compressed binary trie
 * in typed arrays, for both address families. It answers the question "which peer owns the longest
 * prefix that covers this address?". Each prefix has one owner in the whole device: inserting it
 * for another peer moves it. Peers are small integers.
 *
 * Every node holds its full prefix. A node without an owner only joins two branches. The prefixes
 * of each peer also form a linked list in the order of insertion, which is the order of `wg show`.
 */
import type { Prefix } from '../base/prefix.ts';

const NONE = -1;

export class AllowedIps {
  /** Four words of prefix per node, most significant first; IPv4 uses only the first. */
  #words = new Uint32Array(4 * 64);
  #length = new Uint8Array(64);
  #owner = new Int32Array(64);
  #left = new Int32Array(64);
  #right = new Int32Array(64);
  #parent = new Int32Array(64);
  /** Address family of the node: 4 or 6. */
  #family = new Uint8Array(64);
  /** The next node in the owner's list. */
  #next = new Int32Array(64);
  #previous = new Int32Array(64);
  readonly #first = new Map<number, number>();
  readonly #last = new Map<number, number>();
  #free = NONE;
  #used = 0;
  #root4 = NONE;
  #root6 = NONE;
  #size = 0;
  readonly #scratch = new Uint32Array(4);

  /** Returns the number of prefixes. */
  get size(): number {
    return this.#size;
  }

  /** Returns the number of trie nodes, including nodes that only join branches; for tests. */
  get nodesInUse(): number {
    let free = 0;
    for (let node = this.#free; node !== NONE; node = this.#next[node]!) free++;
    return this.#used - free;
  }

  /**
   * Returns the owner of the longest prefix that covers an address, or -1. The address has 4 or 16
   * bytes and begins at an offset of a slab.
   */
  lookup(slab: Uint8Array, at: number, bytes: number): number {
    const w0 = ((slab[at]! << 24) | (slab[at + 1]! << 16) | (slab[at + 2]! << 8) | slab[at + 3]!) >>> 0;
    if (bytes === 4) return this.#lookup4(w0);
    const key = this.#scratch;
    key[0] = w0;
    for (let i = 1; i < 4; i++) {
      const j = at + 4 * i;
      key[i] = (slab[j]! << 24) | (slab[j + 1]! << 16) | (slab[j + 2]! << 8) | slab[j + 3]!;
    }
    return this.#lookup6(key);
  }

  /**
   * Assigns the prefix to the peer and appends it to the peer's list. The previous owner loses it.
   */
  insert(prefix: Prefix, peer: number): void {
    const key = this.#key(prefix);
    const family = prefix.address.length === 4 ? 4 : 6;
    let parent = NONE;
    let node = family === 4 ? this.#root4 : this.#root6;
    while (node !== NONE && this.#length[node]! <= prefix.length && this.#covers(node, key)) {
      if (this.#length[node] === prefix.length) {
        this.#own(node, peer);
        return;
      }
      parent = node;
      node = this.#child(node, bitOf(key, this.#length[node]!));
    }
    const leaf = this.#make(key, prefix.length, family);
    if (node === NONE) this.#attach(parent, leaf, family);
    else {
      const common = Math.min(this.#commonBits(node, key), this.#length[node]!, prefix.length);
      if (common === prefix.length) {
        this.#attach(parent, leaf, family);
        this.#attach(leaf, node, family);
      } else {
        const fork = this.#make(maskWords(key, common), common, family);
        this.#attach(parent, fork, family);
        this.#attach(fork, node, family);
        this.#attach(fork, leaf, family);
      }
    }
    this.#own(leaf, peer);
  }

  /** Removes the prefix if this peer owns it. @returns true if the prefix was removed */
  remove(prefix: Prefix, peer: number): boolean {
    const key = this.#key(prefix);
    let node = prefix.address.length === 4 ? this.#root4 : this.#root6;
    while (node !== NONE && this.#length[node]! < prefix.length && this.#covers(node, key))
      node = this.#child(node, bitOf(key, this.#length[node]!));
    if (node === NONE || this.#length[node] !== prefix.length || !this.#covers(node, key)) return false;
    if (this.#owner[node] !== peer) return false;
    this.#disown(node);
    this.#prune(node);
    return true;
  }

  /** Removes all prefixes of the peer. */
  removePeer(peer: number): void {
    for (let node = this.#first.get(peer); node !== undefined; node = this.#first.get(peer)) {
      this.#disown(node);
      this.#prune(node);
    }
  }

  /** Returns the peer's prefixes in the order of insertion. */
  entries(peer: number): Prefix[] {
    const found: Prefix[] = [];
    for (let node = this.#first.get(peer) ?? NONE; node !== NONE; node = this.#next[node]!) {
      const address = new Uint8Array(this.#family[node] === 4 ? 4 : 16);
      for (let i = 0; i < address.length; i++) address[i] = this.#words[4 * node + (i >> 2)]! >>> (24 - 8 * (i & 3));
      // the host bits are already zero
      found.push({ address, length: this.#length[node]! });
    }
    return found;
  }

  #lookup4(word: number): number {
    let node = this.#root4;
    let best = NONE;
    while (node !== NONE) {
      const length = this.#length[node]!;
      if (length !== 0 && (word ^ this.#words[4 * node]!) >>> (32 - length) !== 0) break;
      if (this.#owner[node] !== NONE) best = this.#owner[node]!;
      if (length === 32) break;
      node = (word >>> (31 - length)) & 1 ? this.#right[node]! : this.#left[node]!;
    }
    return best;
  }

  #lookup6(key: Uint32Array): number {
    let node = this.#root6;
    let best = NONE;
    while (node !== NONE && this.#covers(node, key)) {
      if (this.#owner[node] !== NONE) best = this.#owner[node]!;
      const length = this.#length[node]!;
      if (length === 128) break;
      node = this.#child(node, bitOf(key, length));
    }
    return best;
  }

  #child(node: number, bit: number): number {
    return bit ? this.#right[node]! : this.#left[node]!;
  }

  /** Reports whether the node's prefix covers the key. */
  #covers(node: number, key: Uint32Array): boolean {
    return this.#commonBits(node, key) >= this.#length[node]!;
  }

  #commonBits(node: number, key: Uint32Array): number {
    for (let i = 0; i < 4; i++) {
      const difference = key[i]! ^ this.#words[4 * node + i]!;
      if (difference !== 0) return 32 * i + Math.clz32(difference);
    }
    return 128;
  }

  #key(prefix: Prefix): Uint32Array {
    const key = new Uint32Array(4);
    for (let i = 0; i < prefix.address.length; i++) key[i >> 2]! |= prefix.address[i]! << (24 - 8 * (i & 3));
    return maskWords(key, prefix.length);
  }

  /**
   * Attaches a child to its parent, on the side that its bits select. The parent NONE means the
   * root.
   */
  #attach(parent: number, child: number, family: number): void {
    this.#parent[child] = parent;
    if (parent === NONE) {
      if (family === 4) this.#root4 = child;
      else this.#root6 = child;
    } else if (bitOf(this.#words.subarray(4 * child, 4 * child + 4), this.#length[parent]!))
      this.#right[parent] = child;
    else this.#left[parent] = child;
  }

  /** Removes nodes that neither own a prefix nor join branches, beginning here and going upward. */
  #prune(node: number): void {
    while (node !== NONE && this.#owner[node] === NONE) {
      const left = this.#left[node]!;
      const right = this.#right[node]!;
      if (left !== NONE && right !== NONE) return;
      const child = left !== NONE ? left : right;
      const parent = this.#parent[node]!;
      const family = this.#family[node]!;
      if (child !== NONE) this.#attach(parent, child, family);
      else if (parent === NONE) {
        if (family === 4) this.#root4 = NONE;
        else this.#root6 = NONE;
      } else if (this.#left[parent] === node) this.#left[parent] = NONE;
      else this.#right[parent] = NONE;
      this.#next[node] = this.#free;
      this.#free = node;
      node = parent;
    }
  }

  #own(node: number, peer: number): void {
    if (this.#owner[node] !== NONE) this.#disown(node);
    this.#owner[node] = peer;
    this.#size++;
    const last = this.#last.get(peer) ?? NONE;
    this.#previous[node] = last;
    this.#next[node] = NONE;
    if (last === NONE) this.#first.set(peer, node);
    else this.#next[last] = node;
    this.#last.set(peer, node);
  }

  #disown(node: number): void {
    const peer = this.#owner[node]!;
    const previous = this.#previous[node]!;
    const next = this.#next[node]!;
    if (previous !== NONE) this.#next[previous] = next;
    else if (next !== NONE) this.#first.set(peer, next);
    else this.#first.delete(peer);
    if (next !== NONE) this.#previous[next] = previous;
    else if (previous !== NONE) this.#last.set(peer, previous);
    else this.#last.delete(peer);
    this.#owner[node] = NONE;
    this.#size--;
  }

  #make(key: Uint32Array, length: number, family: number): number {
    let node = this.#free;
    if (node !== NONE) this.#free = this.#next[node]!;
    else {
      node = this.#used++;
      if (node === this.#length.length) this.#grow();
    }
    this.#words.set(key, 4 * node);
    this.#length[node] = length;
    this.#family[node] = family;
    this.#owner[node] = NONE;
    this.#left[node] = NONE;
    this.#right[node] = NONE;
    this.#parent[node] = NONE;
    return node;
  }

  #grow(): void {
    const capacity = this.#length.length * 2;
    const grown = <T extends Uint8Array | Uint32Array | Int32Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#words = grown(new Uint32Array(4 * capacity), this.#words);
    this.#length = grown(new Uint8Array(capacity), this.#length);
    this.#family = grown(new Uint8Array(capacity), this.#family);
    this.#owner = grown(new Int32Array(capacity), this.#owner);
    this.#left = grown(new Int32Array(capacity), this.#left);
    this.#right = grown(new Int32Array(capacity), this.#right);
    this.#parent = grown(new Int32Array(capacity), this.#parent);
    this.#next = grown(new Int32Array(capacity), this.#next);
    this.#previous = grown(new Int32Array(capacity), this.#previous);
  }
}

function bitOf(key: Uint32Array, bit: number): number {
  return bit > 127 ? 0 : (key[bit >> 5]! >>> (31 - (bit & 31))) & 1;
}

function maskWords(key: Uint32Array, length: number): Uint32Array {
  const masked = new Uint32Array(4);
  for (let i = 0; i < 4; i++) {
    const keep = Math.max(0, Math.min(32, length - 32 * i));
    masked[i] = keep === 0 ? 0 : (key[i]! >>> (32 - keep)) << (32 - keep);
  }
  return masked;
}
