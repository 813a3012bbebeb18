/** A command line that is not understood. */

export interface UsageHint {
  /** The word that is not known, and those that are: for "did you mean". */
  readonly given?: string;
  readonly known?: readonly string[];
  /** A line of its own, such as what the argument that is missing means. */
  readonly note?: string;
}

/** The message is one sentence that names the word; how to see the help is added where it is printed (usage-message.ts). */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: UsageHint;

  constructor(message: string, hint: UsageHint = {}) {
    super(message);
    this.hint = hint;
  }
}
