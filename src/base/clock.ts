/**
 * A clock with timers, for code that waits: the agent has the system's, tests advance their own.
 * It has its own file, since several folders take one.
 */
export interface TimerClock {
  /** Returns monotonic time in milliseconds. */
  now(): number;
  /** Schedules an action; returns a function that cancels it. */
  after(milliseconds: number, action: () => void): () => void;
}
