/** Changes of plain data, such as the state of an engine: one field by name, or any at random. */
import type { Random } from './random.ts';

type Container = Record<string, unknown>;

interface Place {
  /** As in messages: `peers[0].current.sendKey`. */
  readonly path: string;
  readonly parent: Container;
  readonly key: string;
}

/** Returns all fields of a value, at every depth. Typed arrays count as one value. */
export function places(value: unknown, path = ''): Place[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  const parent = value as Container;
  return Object.keys(parent).flatMap(key => {
    const own = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    return [{ path: own, parent, key }, ...places(parent[key], own)];
  });
}

/** Returns a copy in which one field has another value. @throws Error if there is no such field */
export function change<T>(value: T, path: string, to: (old: never) => unknown): T {
  const copy = structuredClone(value);
  const place = places(copy).find(one => one.path === path);
  if (!place) throw new Error(`no field ${path}`);
  place.parent[place.key] = to(place.parent[place.key] as never);
  return copy;
}

/** Returns a copy with one to three random changes. */
export function mutate(value: unknown, random: Random): unknown {
  const copy = structuredClone(value);
  for (let i = random.below(3); i >= 0; i--) {
    const all = places(copy);
    if (all.length === 0) return copy;
    const { parent, key } = random.pick(all);
    if (random.chance(0.05)) delete parent[key];
    else parent[key] = mutated(parent[key], random, all);
  }
  return copy;
}

function mutated(old: unknown, random: Random, all: readonly Place[]): unknown {
  if (random.chance(0.15)) return random.pick(JUNK)(random);
  if (random.chance(0.15)) {
    const other = random.pick(all);
    return structuredClone(other.parent[other.key]);
  }
  if (typeof old === 'boolean') return !old;
  if (typeof old === 'number') return random.pick(NUMBERS)(old, random);
  if (typeof old === 'bigint') return random.pick([0n, -old, old + 1n, old * 2n, 2n ** 62n, 2n ** 63n, 2n ** 200n]);
  if (old instanceof Uint8Array || old instanceof Uint32Array || old instanceof Float64Array)
    return mutatedArray(old, random);
  if (Array.isArray(old)) return mutatedList(old as unknown[], random);
  return random.pick(JUNK)(random);
}

function mutatedArray(old: Uint8Array | Uint32Array | Float64Array, random: Random): unknown {
  const one = random.below(4);
  if (one === 0) return old.slice(0, random.below(old.length + 1));
  if (one === 1) return new (old.constructor as typeof Uint8Array)(old.length + 1 + random.below(3));
  const copy = old.slice();
  if (copy.length === 0) return copy;
  const at = random.below(copy.length);
  copy[at] = random.pick(NUMBERS)(copy[at]!, random);
  return copy;
}

function mutatedList(old: unknown[], random: Random): unknown {
  const one = random.below(5);
  if (one === 0) return [];
  // with holes
  if (one === 1) return new Array<unknown>(random.pick([1, 1000, 2 ** 20, 2 ** 32 - 1]));
  if (old.length === 0) return [undefined];
  const element = random.pick(old);
  if (one === 2) return [...old, structuredClone(element)];
  if (one === 3) return old.filter(other => other !== element);
  return old.toReversed();
}

const NUMBERS: readonly ((old: number, random: Random) => number)[] = [
  old => old + 1,
  old => old - 1,
  old => -old,
  old => old + 0.5,
  old => old * 2 ** 32,
  old => old ^ 0x80,
  () => 0,
  () => 255,
  () => 2 ** 31,
  () => 2 ** 32 - 1,
  () => 2 ** 32,
  () => Number.MAX_SAFE_INTEGER,
  () => Number.MAX_VALUE,
  () => Number.POSITIVE_INFINITY,
  () => Number.NEGATIVE_INFINITY,
  () => Number.NaN,
  (_, random) => random.below(2 ** 32),
];

const JUNK: readonly ((random: Random) => unknown)[] = [
  () => undefined,
  () => null,
  () => 'text',
  () => true,
  () => -1,
  () => 7n,
  () => ({}),
  () => [],
  () => new Map([['length', 3]]),
  () => new Date(0),
  random => random.bytes(random.below(64)),
  random => Buffer.from(random.bytes(32)),
  () => new Float32Array(32),
  () => new DataView(new ArrayBuffer(32)),
  () => new ArrayBuffer(32),
  () => ({ length: 32 }),
];
