/**
 * What is known of the cluster, object by object as they come, and the Cluster made of it. What did not change stays the same value: an object that was
 * sent again, one of which only parts changed that nobody here reads (a kubelet's heartbeat), and a whole map.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Cluster, EMPTY_CLUSTER } from '../model/cluster.ts';
import { type Problem, problemKey } from '../model/problem.ts';
import { isFields, type Parsed } from './parse/reader.ts';
import { KIND, KINDS, type Kind, keyOf } from './resource-kinds.ts';

interface Entry {
  readonly version: string | undefined;
  readonly parsed: Parsed<unknown>;
}

export class ClusterCache {
  readonly #entries = new Map<Kind, Map<string, Entry>>(KINDS.map(kind => [kind, new Map()]));
  /** Of objects that have no name to be kept by. */
  readonly #nameless = new Map<Kind, readonly Problem[]>();
  readonly #changed = new Set<Kind>();
  readonly #trustVersions: boolean;
  #cluster: Cluster = EMPTY_CLUSTER;
  #problems: readonly Problem[] = [];
  #problemsChanged = false;

  /** @param trustVersions whether the same uid and resourceVersion mean the same object: a server's do, a file that somebody edits has old ones */
  constructor(trustVersions: boolean) {
    this.#trustVersions = trustVersions;
  }

  /** One object, new or changed. */
  set(kind: Kind, object: unknown): void {
    const key = keyOf(kind, object);
    if (key === undefined) return;
    this.#put(kind, key, object, this.#entries.get(kind)!);
  }

  delete(kind: Kind, object: unknown): void {
    const key = keyOf(kind, object);
    const old = key === undefined ? undefined : this.#entries.get(kind)!.get(key);
    if (!old || key === undefined) return;
    this.#entries.get(kind)!.delete(key);
    this.#note(kind, old.parsed, { problems: [] });
  }

  /** All that there are of a kind: what is not among them is gone, unless its key is in `kept`. */
  replace(kind: Kind, objects: Iterable<unknown>, kept: { has(key: string): boolean } = NONE): void {
    const entries = this.#entries.get(kind)!;
    const seen = new Set<string>();
    const nameless: Problem[] = [];
    for (const object of objects) {
      const key = keyOf(kind, object);
      if (key === undefined) {
        if (nameless.length < MOST_NAMELESS) nameless.push(...KIND[kind].parse(object).problems);
      } else {
        seen.add(key);
        this.#put(kind, key, object, entries);
      }
    }
    for (const [key, { parsed }] of entries) {
      if (seen.has(key) || kept.has(key)) continue;
      entries.delete(key);
      this.#note(kind, parsed, { problems: [] });
    }
    if (!isDeepStrictEqual(this.#nameless.get(kind) ?? [], nameless)) this.#problemsChanged = true;
    this.#nameless.set(kind, nameless);
  }

  get cluster(): Cluster {
    if (this.#changed.size > 0) {
      const maps = [...this.#changed].map(kind => [KIND[kind].map, this.#mapOf(kind)] as const);
      this.#cluster = { ...this.#cluster, ...Object.fromEntries(maps) };
      this.#changed.clear();
    }
    return this.#cluster;
  }

  /** The same list while there are no others. */
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

  #put(kind: Kind, key: string, object: unknown, entries: Map<string, Entry>): void {
    const old = entries.get(key);
    const version = this.#trustVersions ? versionOf(object) : undefined;
    if (old && version !== undefined && old.version === version) return;
    const fresh = KIND[kind].parse(object);
    const same = old && isDeepStrictEqual(old.parsed.value, fresh.value);
    const parsed = same ? { ...fresh, value: old.parsed.value } : fresh;
    entries.set(key, { version, parsed });
    this.#note(kind, old?.parsed ?? { problems: [] }, parsed);
  }

  #note(kind: Kind, before: Parsed<unknown>, after: Parsed<unknown>): void {
    if (before.value !== after.value) this.#changed.add(kind);
    if (!isDeepStrictEqual(before.problems, after.problems)) this.#problemsChanged = true;
  }

  #mapOf(kind: Kind): ReadonlyMap<string, unknown> {
    const map = new Map<string, unknown>();
    for (const [key, { parsed }] of this.#entries.get(kind)!)
      if (parsed.value !== undefined) map.set(key, parsed.value);
    return map;
  }
}

const MOST_NAMELESS = 20;
const NONE: ReadonlySet<string> = new Set();

/** A server numbers the versions of an object; one that was made anew has another uid. */
function versionOf(object: unknown): string | undefined {
  const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
  const { resourceVersion, uid } = metadata;
  return typeof resourceVersion === 'string' && typeof uid === 'string' ? `${uid} ${resourceVersion}` : undefined;
}
