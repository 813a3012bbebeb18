/**
 * What is known of one kind, between the server and the cache. An object that the server no longer has was either deleted by somebody, which is a decision,
 * or went with its definition (the CRD), which is none: Calico's move to another API group ends so, and WireGuard is not off for it. So of what Calico
 * defines a deletion waits until it is known that its definition stands, and what went with a definition counts until an object of its name is there again.
 */
import type { ClusterCache } from '../../cluster-cache.ts';
import { isFields } from '../../parse/reader.ts';
import { type Kind, keyOf } from '../../resource-kinds.ts';

export class KnownObjects {
  readonly #cache: ClusterCache;
  readonly #kind: Kind;
  /** By key, the uid: an object that was made anew has another. */
  readonly #uids = new Map<string, unknown>();
  readonly #deletions = new Map<string, unknown>();
  readonly #orphans = new Map<string, unknown>();

  constructor(cache: ClusterCache, kind: Kind) {
    this.#cache = cache;
    this.#kind = kind;
  }

  get isEmpty(): boolean {
    return this.#uids.size === 0 && this.#orphans.size === 0;
  }

  /** Deletions that wait, as of now: the object by its key. */
  get deletions(): ReadonlyMap<string, unknown> {
    return new Map(this.#deletions);
  }

  /** Keys of what went with a definition. */
  get orphans(): readonly string[] {
    return [...this.#orphans.keys()];
  }

  set(object: unknown): void {
    const key = keyOf(this.#kind, object);
    if (key !== undefined) {
      this.#deletions.delete(key);
      this.#orphans.delete(key);
      this.#uids.set(key, uidOf(object));
    }
    this.#cache.set(this.#kind, object);
  }

  delete(object: unknown): void {
    const key = keyOf(this.#kind, object);
    if (key !== undefined && this.#uids.has(key)) this.#deletions.set(key, object);
  }

  /** These deletions are somebody's decision. */
  confirm(deletions: ReadonlyMap<string, unknown>): void {
    for (const [key, object] of deletions) {
      // it may be there again, and deleted again
      if (this.#deletions.get(key) !== object) continue;
      this.#deletions.delete(key);
      this.#uids.delete(key);
      this.#cache.delete(this.#kind, object);
    }
  }

  /** The definition is gone, or went and came back: all that was known is kept. */
  orphan(): void {
    for (const [key, uid] of this.#uids) this.#orphans.set(key, uid);
    this.#uids.clear();
    this.#deletions.clear();
  }

  /** Whether something that is known is not in this list of the same definition, other than what went with an earlier one. */
  lacks(objects: readonly unknown[]): boolean {
    const listed = new Set(objects.map(object => keyOf(this.#kind, object)));
    return [...this.#uids.keys()].some(key => !listed.has(key));
  }

  /** Whether a list can be of the definition that what is known is of: one object that lived on proves it. */
  isContinuedBy(objects: readonly unknown[]): boolean {
    if (this.#uids.size === 0) return true;
    return objects.some(object => {
      const key = keyOf(this.#kind, object);
      return key !== undefined && this.#uids.has(key) && this.#uids.get(key) === uidOf(object);
    });
  }

  /** All that the server has. What went with a definition stays beside it, unless the list is the last word. */
  replace(objects: readonly unknown[], isLastWord: boolean): void {
    if (isLastWord) this.#orphans.clear();
    this.#uids.clear();
    this.#deletions.clear();
    for (const object of objects) {
      const key = keyOf(this.#kind, object);
      if (key === undefined) continue;
      this.#uids.set(key, uidOf(object));
      this.#orphans.delete(key);
    }
    this.#cache.replace(this.#kind, objects, this.#orphans);
  }
}

function uidOf(object: unknown): unknown {
  return isFields(object) && isFields(object['metadata']) ? object['metadata']['uid'] : undefined;
}
