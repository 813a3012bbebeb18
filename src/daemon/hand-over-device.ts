/** A device as a hand-over sees it. */

/** The device that another process takes. */
export interface GivenDevice {
  /** Why it cannot leave this process; undefined if it can. */
  readonly boundBy: string | undefined;
  /** Compiles what freeze() needs, while packets still flow. */
  rehearse(): void;
  /** Waits until no request of the control socket is in progress. */
  settle(): Promise<void>;
  /** Stops reading. @returns the state, which the caller erases, and the open descriptors */
  freeze(): { readonly state: Uint8Array; readonly descriptors: readonly number[] };
  /** Goes on after freeze(), also after one that threw. */
  thaw(): void;
  eraseKeys(): void;
  /** Goes on with new sessions. */
  restart(): void;
  /** Ends this process and leaves everything to the other one. */
  finish(successor: string): void;
}
