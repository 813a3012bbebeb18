// The reasons that end a demo early: a failure with a message for people, or an interruption.

/** A failure whose message says what happened and what to do. */
export class Failure extends Error {}

/** The demo was interrupted. */
export class Interrupted extends Error {
  /** @param signal its name; undefined if the reader of the output or npm is gone */
  constructor(signal) {
    super(signal ? `ended by ${signal}` : 'the reader of the output is gone');
    this.signal = signal;
  }
}
