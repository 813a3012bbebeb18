/**
 * Caches the cluster's objects as they arrive, and builds the Cluster from them. Unchanged values
 * keep their identity. An object is unchanged if it was sent again or if only fields changed that
 * the agent does not read, such as a kubelet's heartbeat. A map is unchanged if none of its entries
 * changed.
 */
import { isDeepStrictEqual } from 'node:util';
import { VersionedMap } from '../../base/versioned-map.ts';
import type { Cluster } from '../model/cluster.ts';
import { type Problem, problemKey } from '../model/problem.ts';
import { isFields, type Parsed } from './parse/reader.ts';
import { KIND, KINDS, type Kind, keyOf } from './resource-kinds.ts';

interface Entry {
  readonly version: string | undefined;
  readonly parsed: Parsed<unknown>;
}

/**
 * An object of the source, as far as the agent uses it. The source's own object is many times as
 * large and is not kept.
 */
export class ReadObject implements Entry {
  /** The key in the Cluster's map; undefined for an object without a name. */
  readonly key: string | undefined;
  readonly uid: unknown;
  readonly version: string | undefined;
  readonly parsed: Parsed<unknown>;

  /** @param known what is known of this object, which may spare parsing it */
  constructor(kind: Kind, object: unknown, known?: (key: string) => Entry | undefined) {
    this.key = keyOf(kind, object);
    this.version = versionOf(object);
    this.uid = uidOf(object);
    const entry = this.key === undefined ? undefined : known?.(this.key);
    this.parsed =
      entry !== undefined && entry.version !== undefined && entry.version === this.version
        ? entry.parsed
        : KIND[kind].parse(object);
  }
}

export class ClusterCache {
  readonly #entries = new Map<Kind, Map<string, Entry>>(KINDS.map(kind => [kind, new Map()]));
  /** Problems of objects without a name, which cannot be keyed. */
  readonly #nameless = new Map<Kind, readonly Problem[]>();
  /** Values that changed since the cluster was last asked for, by key. */
  readonly #changes = new Map<Kind, Map<string, unknown>>();
  readonly #trustVersions: boolean;
  #cluster = emptyCluster();
  #problems: readonly Problem[] = [];
  #problemsChanged = false;

  /**
   * @param trustVersions whether an equal uid and resourceVersion prove that an object is
   * unchanged: true for a server, false for files, which people edit without changing these fields
   */
  constructor(trustVersions: boolean) {
    this.#trustVersions = trustVersions;
  }

  /** Reads an object of the source. An unchanged object is not parsed again. */
  read(kind: Kind, object: unknown): ReadObject {
    const entries = this.#entries.get(kind)!;
    return new ReadObject(kind, object, this.#trustVersions ? key => entries.get(key) : undefined);
  }

  /** Adds or updates one object. */
  set(kind: Kind, object: ReadObject): void {
    if (object.key !== undefined) this.#put(kind, object.key, object, this.#entries.get(kind)!);
  }

  delete(kind: Kind, key: string): void {
    const old = this.#entries.get(kind)!.get(key);
    if (!old) return;
    this.#entries.get(kind)!.delete(key);
    this.#markChanges(kind, key, old.parsed, { problems: [] });
  }

  /**
   * Replaces all objects of a kind. Removes objects that are not listed, except those with a key in
   * `kept`.
   */
  replace(kind: Kind, objects: Iterable<ReadObject>, kept: { has(key: string): boolean } = NO_KEYS): void {
    const entries = this.#entries.get(kind)!;
    const seen = new Set<string>();
    const nameless: Problem[] = [];
    for (const object of objects) {
      const { key } = object;
      if (key === undefined) {
        if (nameless.length < MAX_NAMELESS) nameless.push(...object.parsed.problems);
      } else {
        seen.add(key);
        this.#put(kind, key, object, entries);
      }
    }
    for (const [key, { parsed }] of entries) {
      if (seen.has(key) || kept.has(key)) continue;
      entries.delete(key);
      this.#markChanges(kind, key, parsed, { problems: [] });
    }
    if (!isDeepStrictEqual(this.#nameless.get(kind) ?? [], nameless)) this.#problemsChanged = true;
    this.#nameless.set(kind, nameless);
  }

  /** The current cluster. A map whose entries did not change is the same as before. */
  get cluster(): Cluster {
    if (this.#changes.size > 0) {
      const maps = [...this.#changes].map(([kind, changes]) => {
        const { map } = KIND[kind];
        return [map, (this.#cluster[map] as VersionedMap<string, unknown>).with(changes)] as const;
      });
      this.#cluster = { ...this.#cluster, ...Object.fromEntries(maps) };
      this.#changes.clear();
    }
    return this.#cluster;
  }

  /** The current problems; the same array until they change. */
  get problems(): readonly Problem[] {
    if (this.#problemsChanged) {
      const all = KINDS.flatMap(kind => [
        ...[...this.#entries.get(kind)!.values()].flatMap(({ parsed }) => parsed.problems),
        ...(this.#nameless.get(kind) ?? []),
      ]);
      this.#problems = [...new Map(all.map(problem => [problemKey(problem), problem])).values()];
      this.#problemsChanged = false;
    }
    return this.#problems;
  }

  #put(kind: Kind, key: string, { version, parsed: current }: ReadObject, entries: Map<string, Entry>): void {
    const old = entries.get(key);
    if (old?.parsed === current) return;
    const same = old && isDeepStrictEqual(old.parsed.value, current.value);
    const parsed = same ? { ...current, value: old.parsed.value } : current;
    entries.set(key, { version, parsed });
    this.#markChanges(kind, key, old?.parsed ?? { problems: [] }, parsed);
  }

  #markChanges(kind: Kind, key: string, before: Parsed<unknown>, after: Parsed<unknown>): void {
    if (before.value !== after.value) {
      const changes = this.#changes.get(kind);
      if (changes) changes.set(key, after.value);
      else this.#changes.set(kind, new Map([[key, after.value]]));
    }
    if (!isDeepStrictEqual(before.problems, after.problems)) this.#problemsChanged = true;
  }
}

const MAX_NAMELESS = 20;
const NO_KEYS: ReadonlySet<string> = new Set();

function emptyCluster(): Cluster {
  const maps = KINDS.map(kind => [KIND[kind].map, new VersionedMap<string, unknown>()]);
  return Object.fromEntries(maps) as unknown as Cluster;
}

function uidOf(object: unknown): unknown {
  return isFields(object) && isFields(object['metadata']) ? object['metadata']['uid'] : undefined;
}

/**
 * Returns a value that identifies an object's version: the server changes resourceVersion on each
 * write, and uid when an object is re-created.
 */
function versionOf(object: unknown): string | undefined {
  const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
  const { resourceVersion, uid } = metadata;
  return typeof resourceVersion === 'string' && typeof uid === 'string' ? `${uid} ${resourceVersion}` : undefined;
}
