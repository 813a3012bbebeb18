/**
 * Decides to which node a key of one family belongs that several nodes publish: to the first one.
 * Another node can copy the key at any time, but without the private key it could only take traffic
 * away, so the copy must change nothing for the first node.
 *
 * What was seen first is remembered outside (datastore/key-history.ts): a plan has no memory. Where
 * nothing is remembered, the Node that was created first counts, because no Node can change its
 * age. So a restart gives a copy no advantage.
 */
import { ageKey } from '../../model/age.ts';
import type { ClusterNode } from '../../model/cluster.ts';

/** The node that published each key first, as far as is known. */
export type Remembered = ReadonlyMap<string, string>;

const NOTHING: Remembered = new Map();

export class KeyOwners {
  readonly #holders = new Map<string, Set<string>>();
  /** The key that each node publishes. */
  readonly #published = new Map<string, string>();
  #remembered = NOTHING;
  /** The keys that are remembered of each node. */
  #rememberedOf = new Map<string, readonly string[]>();

  /** Replaces what is remembered. @returns the nodes that may own a key now, or no longer */
  remember(remembered: Remembered = NOTHING): readonly string[] {
    const before = this.#remembered;
    if (remembered === before) return [];
    this.#remembered = remembered;
    this.#rememberedOf = new Map();
    for (const [key, name] of remembered) this.#rememberedOf.set(name, [...(this.#rememberedOf.get(name) ?? []), key]);
    const keys = new Set([...before.keys(), ...remembered.keys()]);
    return [...keys].flatMap(key => (before.get(key) === remembered.get(key) ? [] : this.#sharers(key)));
  }

  /** Records a node's key. @returns the nodes whose keys may belong to another node now */
  move(node: string, after: string | undefined): readonly string[] {
    const before = this.#published.get(node);
    if (before !== undefined && before !== after) {
      const holders = this.#holders.get(before)!;
      holders.delete(node);
      if (holders.size === 0) this.#holders.delete(before);
    }
    if (after === undefined) this.#published.delete(node);
    else if (before !== after) {
      this.#published.set(node, after);
      const holders = this.#holders.get(after);
      if (holders) holders.add(node);
      else this.#holders.set(after, new Set([node]));
    }
    const keys = new Set([before, after, ...(this.#rememberedOf.get(node) ?? [])]);
    return [...keys].flatMap(key => (key === undefined ? [] : this.#sharers(key)));
  }

  /** Returns the node to which a published key belongs. */
  ownerOf(key: string, nodes: ReadonlyMap<string, ClusterNode>): string | undefined {
    const first = this.#remembered.get(key);
    // A key that is absent for a moment, as after each start of Felix, still belongs to its node.
    if (first !== undefined && nodes.has(first) && (this.#published.get(first) ?? key) === key) return first;
    const holders = [...(this.#holders.get(key) ?? [])];
    if (holders.length < 2) return holders[0];
    const age = (name: string): string => ageKey(nodes.get(name) ?? { name });
    return holders.reduce((oldest, name) => (age(name) < age(oldest) ? name : oldest));
  }

  #sharers(key: string): readonly string[] {
    return [...(this.#holders.get(key) ?? [])];
  }
}
