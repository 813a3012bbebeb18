/** When the soak did what, and to which action a loss belongs. */

export const ACTIONS = ['kill', 'hand-over', 'roam', 'peers', 'initiate'] as const;
export type Action = (typeof ACTIONS)[number];
export type Phase = Action | 'quiet';

interface Window {
  readonly action: Action;
  readonly from: number;
  to: number;
}

/** A kill's traffic is back within this time after the new process is configured. */
const AFTER_KILL_MS = 5000;
const AFTER_MS = 500;

export class Phases {
  readonly #windows: Window[] = [];
  readonly #counts = new Map<Action, number>();

  async during(action: Action, act: () => Promise<void>): Promise<void> {
    const window: Window = { action, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.#windows.push(window);
    this.#counts.set(action, (this.#counts.get(action) ?? 0) + 1);
    await act();
    window.to = Date.now() + (action === 'kill' ? AFTER_KILL_MS : AFTER_MS);
  }

  count(action: Action): number {
    return this.#counts.get(action) ?? 0;
  }

  /** Returns the phase of a time span: that of a kill before all others, or none. */
  of(from: number, to: number): Phase {
    const over = this.#windows.filter(window => window.from <= to && from <= window.to);
    return over.find(({ action }) => action === 'kill')?.action ?? over[0]?.action ?? 'quiet';
  }
}
