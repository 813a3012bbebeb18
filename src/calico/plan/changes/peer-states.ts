/** The states of all other nodes in order of name, as a list that changes a little each time. */
import type { PeerState } from '../../model/status.ts';

export class PeerStates {
  /** Never changed in place, because plans contain it. */
  #list: readonly PeerState[] = [];

  get list(): readonly PeerState[] {
    return this.#list;
  }

  /** @param changes states by name; undefined removes a node */
  update(changes: ReadonlyMap<string, PeerState | undefined>): void {
    if (changes.size === 0) return;
    if (changes.size > MANY + this.#list.length / MANY) {
      const states = new Map<string, PeerState | undefined>(this.#list.map(state => [state.node, state]));
      for (const [name, state] of changes) states.set(name, state);
      const list = [...states.values()].filter(state => state !== undefined);
      this.#list = list.sort((a, b) => (a.node < b.node ? -1 : 1));
      return;
    }
    const list = this.#list.slice();
    for (const [name, state] of changes) {
      const at = firstAtOrAfter(list, name);
      const known = list[at]?.node === name ? 1 : 0;
      if (state === undefined) list.splice(at, known);
      else list.splice(at, known, state);
    }
    this.#list = list;
  }
}

/** From this many changes on, sorting all states is cheaper than inserting each. */
const MANY = 64;

function firstAtOrAfter(list: readonly PeerState[], name: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.node < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
