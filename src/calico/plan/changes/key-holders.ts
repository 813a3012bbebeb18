/** Tracks which nodes publish each key of one family. */
export class KeyHolders {
  readonly #holders = new Map<string, Set<string>>();

  /** Records a node's key, and returns the nodes that share its previous or its new key. */
  move(node: string, before: string | undefined, after: string | undefined): readonly string[] {
    if (before === after) return [];
    const affected: string[] = [];
    if (before !== undefined) {
      const holders = this.#holders.get(before);
      holders?.delete(node);
      affected.push(...(holders ?? []));
      if (holders?.size === 0) this.#holders.delete(before);
    }
    if (after !== undefined) {
      const holders = this.#holders.get(after);
      affected.push(...(holders ?? []));
      if (holders) holders.add(node);
      else this.#holders.set(after, new Set([node]));
    }
    return affected;
  }

  /** Returns the nodes that share a key, in order of name; undefined unless there are several. */
  sharers(key: string): readonly string[] | undefined {
    const holders = this.#holders.get(key);
    return holders && holders.size > 1 ? [...holders].sort() : undefined;
  }
}
