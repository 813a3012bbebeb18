/** The error for an invalid command line. */

export interface UsageHint {
  /** The unknown word and the known words, for "did you mean". */
  readonly given?: string;
  readonly known?: readonly string[];
  /** An additional line, such as the meaning of a missing argument. */
  readonly note?: string;
}

/**
 * An invalid command line. The message is one sentence that names the wrong word; usage-message.ts
 * adds how to see the help.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: UsageHint;

  constructor(message: string, hint: UsageHint = {}) {
    super(message);
    this.hint = hint;
  }
}
