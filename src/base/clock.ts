/**
 * A clock with timers, for code that waits. The agent uses the system's clock; tests advance their
 * own. The type has its own file because several folders use it.
 */
export interface TimerClock {
  /** Returns monotonic time in milliseconds. */
  now(): number;
  /** Schedules an action; returns a function that cancels it. */
  after(milliseconds: number, action: () => void): () => void;
}
