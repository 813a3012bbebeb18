/**
 * Caches the cluster's objects as they arrive, and builds the Cluster from them. Unchanged values
 * keep their identity. An object is unchanged if it was sent again or if only fields changed that
 * the agent does not read, such as a kubelet's heartbeat. A map is unchanged if none of its entries
 * changed.
 */
import { isDeepStrictEqual } from 'node:util';
import { VersionedMap } from '../../base/versioned-map.ts';
import type { Cluster, ClusterNode, PerFamily } from '../model/cluster.ts';
import { type Problem, problemKey } from '../model/problem.ts';
import { KeyHistory, type KeyOwners } from './key-history.ts';
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
  readonly #keys = [new KeyHistory(4), new KeyHistory(6)] as const;
  #keyOwners: PerFamily<KeyOwners> = {};
  /** Number of problems of all entries. */
  #problemCount = 0;
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
    const { key } = object;
    if (key === undefined) return;
    this.#put(kind, key, object, this.#entries.get(kind)!);
    if (kind !== 'Node') return;
    const node = this.#nodeAt(key);
    for (const keys of this.#keys) if (node) keys.set(node);
  }

  delete(kind: Kind, key: string): void {
    const old = this.#entries.get(kind)!.get(key);
    if (!old) return;
    this.#entries.get(kind)!.delete(key);
    this.#markChanges(kind, key, old.parsed, { problems: [] });
    if (kind === 'Node') for (const keys of this.#keys) keys.delete(key);
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
      if (kind === 'Node') for (const keys of this.#keys) keys.delete(key);
    }
    if (kind === 'Node') {
      const nodes = [...entries.keys()].flatMap(key => this.#nodeAt(key) ?? []);
      for (const keys of this.#keys) keys.setAll(nodes);
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

  /** Adds the owners of keys that an earlier agent remembered. */
  rememberKeyOwners(owners: PerFamily<KeyOwners>): void {
    this.#keys[0].remember(owners[4] ?? NO_OWNERS);
    this.#keys[1].remember(owners[6] ?? NO_OWNERS);
  }

  /** The node that published each key first; the same object until it changes. */
  get keyOwners(): PerFamily<KeyOwners> {
    const [four, six] = this.#keys.map(({ owners }) => owners) as [KeyOwners, KeyOwners];
    if (this.#keyOwners[4] !== four || this.#keyOwners[6] !== six) this.#keyOwners = { 4: four, 6: six };
    return this.#keyOwners;
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

  #put(kind: Kind, key: string, { version, parsed: read }: ReadObject, entries: Map<string, Entry>): void {
    const old = entries.get(key);
    if (old?.parsed === read) return;
    const current = this.#limited(kind, read, old?.parsed.problems.length ?? 0);
    const same = old && isDeepStrictEqual(old.parsed.value, current.value);
    const parsed = same ? { ...current, value: old.parsed.value } : current;
    entries.set(key, { version, parsed });
    this.#markChanges(kind, key, old?.parsed ?? { problems: [] }, parsed);
  }

  /** Drops the problems of an object if there are too many already. They would fill the memory. */
  #limited(kind: Kind, parsed: Parsed<unknown>, before: number): Parsed<unknown> {
    const { problems } = parsed;
    if (problems.length === 0 || this.#problemCount - before + problems.length <= MAX_PROBLEMS) return parsed;
    const [{ object }] = problems as readonly [Problem];
    const message = `it and other objects of this kind (${KIND[kind].plural}) have more problems than are kept; correct those that are listed first`;
    return { ...parsed, problems: before > 0 ? [{ object, reason: 'MoreProblems', message }] : [] };
  }

  #nodeAt(key: string): ClusterNode | undefined {
    return this.#entries.get('Node')!.get(key)?.parsed.value as ClusterNode | undefined;
  }

  #markChanges(kind: Kind, key: string, before: Parsed<unknown>, after: Parsed<unknown>): void {
    this.#problemCount += after.problems.length - before.problems.length;
    if (before.value !== after.value) {
      const changes = this.#changes.get(kind);
      if (changes) changes.set(key, after.value);
      else this.#changes.set(kind, new Map([[key, after.value]]));
    }
    if (!isDeepStrictEqual(before.problems, after.problems)) this.#problemsChanged = true;
  }
}

const MAX_NAMELESS = 20;
/** Upper bound of the problems of all objects: people read far fewer. */
const MAX_PROBLEMS = 2000;
const NO_OWNERS: KeyOwners = new Map();
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
