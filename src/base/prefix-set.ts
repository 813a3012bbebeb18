/**
 * A set of prefixes that tests whether one of them contains a given prefix. The prefixes are
 * indexed by length, so that a test does not visit all of them.
 */
import { formatPrefix, makePrefix, type Prefix } from './prefix.ts';

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

  /** Reports whether the set holds the prefix itself or a prefix that contains it. */
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
