/** Prefixes inside of one another: which holds which, and what is left of one without others. */
import { formatPrefix, makePrefix, type Prefix } from '../../base/prefix.ts';

/** Whether the inner is the outer, or within it. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  if (outer.address.length !== inner.address.length || outer.length > inner.length) return false;
  const whole = outer.length >> 3;
  for (let i = 0; i < whole; i++) if (outer.address[i] !== inner.address[i]) return false;
  const rest = outer.length & 7;
  return rest === 0 || (outer.address[whole]! ^ inner.address[whole]!) >> (8 - rest) === 0;
}

/** An address alone. */
export function single(address: Uint8Array): Prefix {
  return { address, length: address.length * 8 };
}

export function isSingle({ address, length }: Prefix): boolean {
  return length === address.length * 8;
}

/** The fewest prefixes that make up the first without the others, in the order of their addresses. */
export function without(prefix: Prefix, holes: readonly Prefix[]): readonly Prefix[] {
  if (holes.some(hole => covers(hole, prefix))) return [];
  const inside = holes.filter(hole => covers(prefix, hole));
  if (inside.length === 0) return [prefix];
  return halves(prefix).flatMap(half => without(half, inside));
}

function halves({ address, length }: Prefix): readonly [Prefix, Prefix] {
  const upper = address.slice();
  upper[length >> 3]! |= 0x80 >> (length & 7);
  return [makePrefix(address, length + 1), { address: upper, length: length + 1 }];
}

/** Prefixes to ask "which of you covers this" without asking each: by their lengths. */
export class PrefixSet {
  readonly #byLength = new Map<
    string,
    { readonly bytes: number; readonly length: number; readonly texts: Set<string> }
  >();

  constructor(prefixes: Iterable<Prefix> = []) {
    for (const prefix of prefixes) this.add(prefix);
  }

  add(prefix: Prefix): void {
    const { address, length } = prefix;
    const key = `${address.length} ${length}`;
    const same = this.#byLength.get(key);
    if (same) same.texts.add(formatPrefix(prefix));
    else this.#byLength.set(key, { bytes: address.length, length, texts: new Set([formatPrefix(prefix)]) });
  }

  covers({ address, length }: Prefix): boolean {
    for (const outer of this.#byLength.values())
      if (
        outer.bytes === address.length &&
        outer.length <= length &&
        outer.texts.has(formatPrefix(makePrefix(address, outer.length)))
      )
        return true;
    return false;
  }
}
