/** Tells listeners of snapshots, many changes in one: a cluster that starts changes a thousand times in a second. */
import type { Closable, Snapshot, SnapshotListener } from './datastore.ts';

/** Milliseconds between two snapshots. */
const QUIET = 50;

export class Announcer {
  readonly #listeners = new Map<SnapshotListener, Snapshot | undefined>();
  readonly #snapshot: () => Snapshot;
  #timer: NodeJS.Timeout | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(snapshot: () => Snapshot) {
    this.#snapshot = snapshot;
  }

  /** The listener is told soon, even if nothing changes. */
  add(listener: SnapshotListener): Closable {
    // one wrapper for each, so that the same function may listen twice
    const own: SnapshotListener = snapshot => listener(snapshot);
    this.#listeners.set(own, undefined);
    this.changed();
    return { close: () => void this.#listeners.delete(own) };
  }

  /** Something may have changed: the first time it is told at once, more of it together. */
  changed(): void {
    if (this.#timer !== undefined || this.#listeners.size === 0) return;
    const wait = Math.min(QUIET, Math.max(0, this.#toldAt + QUIET - Date.now()));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#toldAt = Date.now();
      this.#tell();
    }, wait);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#listeners.clear();
  }

  #tell(): void {
    const snapshot = this.#snapshot();
    for (const [listener, last] of [...this.#listeners]) {
      if (last && same(last, snapshot)) continue;
      // one may have closed another
      if (!this.#listeners.has(listener)) continue;
      this.#listeners.set(listener, snapshot);
      listener(snapshot);
    }
  }
}

function same(a: Snapshot, b: Snapshot): boolean {
  const fields = ['cluster', 'problems', 'synced', 'stale', 'apiGroup'] as const;
  return fields.every(field => a[field] === b[field]);
}
