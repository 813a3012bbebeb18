/**
 * Tracks the objects of one kind between the server and the cache. An object disappears because it
 * was deleted on purpose, or because its CRD was deleted, as at the end of Calico's move to another
 * API group. The second case must not switch WireGuard off. Deletions of Calico's objects therefore
 * stay pending until their CRD is known to be established. Objects that disappeared with their CRD
 * ("orphans") stay in effect until an object of the same name exists again.
 */
import type { ClusterCache, ReadObject } from '../../cluster-cache.ts';
import { type Kind, keyOf } from '../../resource-kinds.ts';

export class KnownObjects {
  readonly #cache: ClusterCache;
  readonly #kind: Kind;
  /** Each object's uid, by key. A re-created object has a new uid. */
  readonly #uids = new Map<string, unknown>();
  readonly #deletions = new Map<string, symbol>();
  readonly #orphans = new Map<string, unknown>();

  constructor(cache: ClusterCache, kind: Kind) {
    this.#cache = cache;
    this.#kind = kind;
  }

  get isEmpty(): boolean {
    return this.#uids.size === 0 && this.#orphans.size === 0;
  }

  /** A copy of the pending deletions by key. Each has an identity of its own. */
  get deletions(): ReadonlyMap<string, symbol> {
    return new Map(this.#deletions);
  }

  /** Keys of the objects that disappeared with their CRD. */
  get orphans(): readonly string[] {
    return [...this.#orphans.keys()];
  }

  /** Reads an object of the server. */
  read(object: unknown): ReadObject {
    return this.#cache.read(this.#kind, object);
  }

  set(object: ReadObject): void {
    const { key, uid } = object;
    if (key !== undefined) {
      this.#deletions.delete(key);
      this.#orphans.delete(key);
      this.#uids.set(key, uid);
    }
    this.#cache.set(this.#kind, object);
  }

  delete(object: unknown): void {
    const key = keyOf(this.#kind, object);
    if (key !== undefined && this.#uids.has(key)) this.#deletions.set(key, Symbol(key));
  }

  /** Carries out pending deletions that were made on purpose. */
  confirmDeletions(deletions: ReadonlyMap<string, symbol>): void {
    for (const [key, deletion] of deletions) {
      // The object may have been re-created and deleted again.
      if (this.#deletions.get(key) !== deletion) continue;
      this.#deletions.delete(key);
      this.#uids.delete(key);
      this.#cache.delete(this.#kind, key);
    }
  }

  /**
   * Turns every known object into an orphan. Call this when the CRD is gone, or was deleted and
   * re-created.
   */
  orphanAll(): void {
    for (const [key, uid] of this.#uids) this.#orphans.set(key, uid);
    this.#uids.clear();
    this.#deletions.clear();
  }

  /**
   * Returns whether a known object is missing from a list of the same CRD. Ignores orphans, which
   * belong to an earlier CRD.
   */
  hasUnlisted(objects: readonly ReadObject[]): boolean {
    const listed = new Set(objects.map(({ key }) => key));
    return [...this.#uids.keys()].some(key => !listed.has(key));
  }

  /**
   * Returns whether a list can belong to the CRD of the known objects. One object with an unchanged
   * uid proves that it does.
   */
  isContinuedBy(objects: readonly ReadObject[]): boolean {
    if (this.#uids.size === 0) return true;
    return objects.some(({ key, uid }) => key !== undefined && this.#uids.has(key) && this.#uids.get(key) === uid);
  }

  /**
   * Replaces the known objects with the server's list.
   * @param isAuthoritative whether to drop all orphans too
   */
  replace(objects: readonly ReadObject[], isAuthoritative: boolean): void {
    if (isAuthoritative) this.#orphans.clear();
    this.#uids.clear();
    this.#deletions.clear();
    for (const { key, uid } of objects) {
      if (key === undefined) continue;
      this.#uids.set(key, uid);
      this.#orphans.delete(key);
    }
    this.#cache.replace(this.#kind, objects, this.#orphans);
  }
}
