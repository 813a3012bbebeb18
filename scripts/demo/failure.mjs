// What ends a demo before its end: a sentence for people, or a signal.

/** Says in one sentence what happened and what to do. */
export class Failure extends Error {}

/** The demo was told to end. */
export class Interrupted extends Error {
  /** @param signal its name; undefined where nobody reads the output any more or npm is gone */
  constructor(signal) {
    super(signal ? `ended by ${signal}` : 'nobody is there any more');
    this.signal = signal;
  }
}
