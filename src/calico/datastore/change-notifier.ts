/**
 * Passes snapshots to listeners, and coalesces changes: while a cluster starts, it changes a
 * thousand times a second.
 */
import type { Closable, Snapshot, SnapshotListener } from './datastore.ts';

/** Minimum time between two snapshots. */
const INTERVAL_MS = 50;

export class ChangeNotifier {
  readonly #listeners = new Map<SnapshotListener, Snapshot | undefined>();
  readonly #snapshot: () => Snapshot;
  #timer: NodeJS.Timeout | undefined;
  #deliveredAt = Number.NEGATIVE_INFINITY;

  constructor(snapshot: () => Snapshot) {
    this.#snapshot = snapshot;
  }

  /** Adds a listener. It soon receives a first snapshot, even if nothing changes. */
  add(listener: SnapshotListener): Closable {
    // Wrap each listener, so that the same function can be added twice.
    const own: SnapshotListener = snapshot => listener(snapshot);
    this.#listeners.set(own, undefined);
    this.notify();
    return { close: () => void this.#listeners.delete(own) };
  }

  /**
   * Schedules a snapshot: at once, or INTERVAL_MS after the last snapshot. Further changes are
   * coalesced.
   */
  notify(): void {
    if (this.#timer !== undefined || this.#listeners.size === 0) return;
    const wait = Math.min(INTERVAL_MS, Math.max(0, this.#deliveredAt + INTERVAL_MS - Date.now()));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#deliveredAt = Date.now();
      this.#deliver();
    }, wait);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#listeners.clear();
  }

  #deliver(): void {
    const snapshot = this.#snapshot();
    for (const [listener, last] of [...this.#listeners]) {
      if (last && same(last, snapshot)) continue;
      // A listener that was called earlier in this loop may have closed this one.
      if (!this.#listeners.has(listener)) continue;
      this.#listeners.set(listener, snapshot);
      listener(snapshot);
    }
  }
}

function same(a: Snapshot, b: Snapshot): boolean {
  const fields = ['cluster', 'problems', 'synced', 'stale', 'apiGroup', 'keyOwners', 'apiServers'] as const;
  return fields.every(field => a[field] === b[field]);
}
