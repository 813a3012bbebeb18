/**
 * Remembers which node published each public key first. An attacker who can write a Node can copy
 * a key, but only after its node published it. The order in which the server reports changes
 * therefore tells the copy from the original.
 *
 * - A key belongs to its first node as long as the Node exists and publishes no other key. It also
 *   belongs to the node while the annotation is absent, as after each start of Felix. Otherwise a
 *   copy would only have to wait for that moment.
 * - A key whose node is gone, or has another one, passes to the node that has published it longest.
 * - A list has no order. Its new keys belong to the Nodes that were created first, because no Node
 *   can change its age.
 * - What an earlier agent remembered is older than anything that this one sees.
 */

import { formatKeyBase64, isZeroKey } from '../../base/key.ts';
import { oldestFirst } from '../model/age.ts';
import type { ClusterNode } from '../model/cluster.ts';
import { parseGoKey } from '../model/go-key.ts';

/** The node that owns each key, by the key in canonical base64. */
export type KeyOwners = ReadonlyMap<string, string>;

export class KeyHistory {
  readonly #family: 4 | 6;
  readonly #owners = new Map<string, string>();
  /** The key that each node owns. */
  readonly #owned = new Map<string, string>();
  /** The nodes that publish each key, in the order in which they began to. */
  readonly #publishers = new Map<string, Set<string>>();
  /** The key that each node publishes. */
  readonly #published = new Map<string, string>();
  readonly #names = new Set<string>();
  #hasList = false;
  /** Remembered owners whose Nodes have not been seen. */
  readonly #unseen = new Set<string>();
  #snapshot: KeyOwners | undefined;

  constructor(family: 4 | 6) {
    this.#family = family;
  }

  /** The current owners; the same map until they change. */
  get owners(): KeyOwners {
    this.#snapshot ??= new Map(this.#owners);
    return this.#snapshot;
  }

  /**
   * Adds what an earlier agent remembered. It overrides what a list alone has shown, unless the
   * node is gone or has another key.
   */
  remember(owners: KeyOwners): void {
    for (const [key, name] of owners) {
      const isSeen = this.#names.has(name);
      if (this.#owners.get(key) === name || (this.#hasList && !isSeen)) continue;
      if ((this.#published.get(name) ?? key) !== key) continue;
      const other = this.#owners.get(key);
      if (other !== undefined) this.#owned.delete(other);
      const before = this.#owned.get(name);
      if (before !== undefined) this.#release(before);
      this.#assign(key, name);
      if (!isSeen) this.#unseen.add(name);
    }
  }

  /** Processes a Node that was added or changed. */
  set(node: ClusterNode): void {
    const { name } = node;
    this.#names.add(name);
    this.#unseen.delete(name);
    const key = keyOf(node.publicKey[this.#family]);
    const before = this.#published.get(name);
    if (key === before) return;
    if (before !== undefined) this.#unpublish(before, name);
    if (key === undefined) return;
    this.#published.set(name, key);
    const publishers = this.#publishers.get(key);
    if (publishers) publishers.add(name);
    else this.#publishers.set(key, new Set([name]));
    const owned = this.#owned.get(name);
    if (owned !== undefined && owned !== key) this.#release(owned);
    if (!this.#owners.has(key)) this.#assign(key, name);
  }

  delete(name: string): void {
    this.#names.delete(name);
    this.#unseen.delete(name);
    const published = this.#published.get(name);
    if (published !== undefined) this.#unpublish(published, name);
    const owned = this.#owned.get(name);
    if (owned !== undefined) this.#release(owned);
  }

  /** Processes a complete list: Nodes that are new in it have no order but their age. */
  setAll(nodes: readonly ClusterNode[]): void {
    for (const node of oldestFirst(nodes)) this.set(node);
    // An empty list is that of files that have not been read: a cluster has our own Node.
    this.#hasList ||= nodes.length > 0;
    if (this.#hasList) for (const name of [...this.#unseen]) this.delete(name);
  }

  #unpublish(key: string, name: string): void {
    this.#published.delete(name);
    const publishers = this.#publishers.get(key)!;
    publishers.delete(name);
    if (publishers.size === 0) this.#publishers.delete(key);
  }

  #assign(key: string, name: string): void {
    this.#snapshot = undefined;
    this.#owners.set(key, name);
    this.#owned.set(name, key);
  }

  #release(key: string): void {
    this.#snapshot = undefined;
    this.#owned.delete(this.#owners.get(key)!);
    this.#owners.delete(key);
    // A node may publish a key that it does not own while it still owns an earlier one.
    for (const next of this.#publishers.get(key) ?? []) {
      if (this.#owned.has(next)) continue;
      this.#assign(key, next);
      return;
    }
  }
}

/** Returns the key in canonical base64; undefined if it is absent or invalid. */
function keyOf(text: string | undefined): string | undefined {
  const key = text ? parseGoKey(text) : undefined;
  return key && !isZeroKey(key) ? formatKeyBase64(key) : undefined;
}
