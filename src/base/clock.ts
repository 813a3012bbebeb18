/** A clock with timers, for code that waits: the agent has the system's, tests advance their own. */
export interface TimerClock {
  /** Returns monotonic time in milliseconds. */
  now(): number;
  /** Schedules an action; returns a function that cancels it. */
  after(milliseconds: number, action: () => void): () => void;
}
