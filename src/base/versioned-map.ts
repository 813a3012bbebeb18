/**
 * An immutable map whose next version costs only what changes. All versions share one native Map,
 * which holds the newest version. An older version knows what the next one replaced: reading it
 * costs a little more, and once nothing refers to it, it is collected. The difference between two
 * versions is therefore known without comparing all of their entries ({@link changedKeys}).
 *
 * Values are compared by identity, and `undefined` is no value: it stands for an absent entry.
 */
export class VersionedMap<K, V> implements ReadonlyMap<K, V> {
  readonly size: number;
  /** The entries of the newest version; undefined in older ones. */
  #entries: Map<K, V> | undefined;
  #next: { readonly version: VersionedMap<K, V>; readonly replaced: ReadonlyMap<K, V | undefined> } | undefined;
  /** Number of versions since the entries were last copied. */
  #generation = 0;
  #openIterations = 0;

  /** @param entries becomes this map's own: the caller must not change it afterwards */
  constructor(entries: Map<K, V> = new Map()) {
    this.#entries = entries;
    this.size = entries.size;
  }

  /** Returns the version after these changes; `undefined` removes an entry. */
  with(changes: Iterable<readonly [K, V | undefined]>): VersionedMap<K, V> {
    // An older version, and one that is being iterated, must keep its entries. Now and then the
    // newest one keeps them too: otherwise an old version in use would hold all later ones.
    // Read them first: they may come from an iteration of this map.
    const all = [...changes];
    const isShared = this.#entries !== undefined && this.#openIterations === 0 && this.#generation < MAX_GENERATIONS;
    const entries = isShared ? this.#entries! : new Map(this);
    const replaced = new Map<K, V | undefined>();
    for (const [key, value] of all) {
      const before = entries.get(key);
      if (before === value) continue;
      if (!replaced.has(key)) replaced.set(key, before);
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
    }
    if (replaced.size === 0) return this;
    const version = new VersionedMap(entries);
    if (isShared) {
      version.#generation = this.#generation + 1;
      this.#entries = undefined;
      this.#next = { version, replaced };
    }
    return version;
  }

  get(key: K): V | undefined {
    let version: VersionedMap<K, V> = this;
    while (version.#next) {
      if (version.#next.replaced.has(key)) return version.#next.replaced.get(key);
      version = version.#next.version;
    }
    return version.#entries!.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this);
  }

  *entries(): Generator<[K, V], undefined> {
    const entries = this.#entries ?? this.#restored();
    this.#openIterations++;
    try {
      yield* entries;
    } finally {
      this.#openIterations--;
    }
    return undefined;
  }

  *keys(): Generator<K, undefined> {
    for (const [key] of this) yield key;
    return undefined;
  }

  *values(): Generator<V, undefined> {
    for (const [, value] of this) yield value;
    return undefined;
  }

  [Symbol.iterator](): Generator<[K, V], undefined> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'Map';
  }

  /** Returns the keys that differ in a later version; undefined if it does not follow this one. */
  changesUntil(later: VersionedMap<K, V>): ReadonlySet<K> | undefined {
    const keys = new Set<K>();
    let version: VersionedMap<K, V> = this;
    while (version !== later) {
      if (!version.#next) return undefined;
      for (const key of version.#next.replaced.keys()) keys.add(key);
      version = version.#next.version;
    }
    for (const key of keys) if (this.get(key) === later.get(key)) keys.delete(key);
    return keys;
  }

  /** Returns a copy of this older version's entries. */
  #restored(): Map<K, V> {
    const steps: ReadonlyMap<K, V | undefined>[] = [];
    let version: VersionedMap<K, V> = this;
    for (; version.#next; version = version.#next.version) steps.push(version.#next.replaced);
    const entries = new Map(version.#entries);
    for (const replaced of steps.reverse())
      for (const [key, value] of replaced)
        if (value === undefined) entries.delete(key);
        else entries.set(key, value);
    return entries;
  }
}

/** A reader of an old version keeps at most this many later ones. */
const MAX_GENERATIONS = 1000;

/** Returns the keys whose values differ between two maps, by identity. */
export function changedKeys<K, V>(before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>): ReadonlySet<K> {
  if (before === after) return new Set();
  const known =
    before instanceof VersionedMap && after instanceof VersionedMap
      ? (before as VersionedMap<K, V>).changesUntil(after as VersionedMap<K, V>)
      : undefined;
  if (known) return known;
  const keys = new Set<K>();
  for (const [key, value] of before) if (after.get(key) !== value) keys.add(key);
  for (const [key, value] of after) if (before.get(key) !== value) keys.add(key);
  return keys;
}
