/** Problems: unusable values in the cluster, and how the administrator can correct them. */
import { ExactNumber } from './exact-number.ts';

/**
 * A part of the cluster or of the configuration that cannot be used, and what to do about it. The
 * rest of the plan is still made.
 */
export interface Problem {
  /** `Node/worker-1`, `IPAMBlock/10-0-0-0-26`, `FelixConfiguration/default`. */
  readonly object: string;
  /**
   * CamelCase and stable, for Events and metrics: `InvalidPublicKey`, `DuplicatePublicKey`,
   * `MissingNodeAddress`, ...
   */
  readonly reason: string;
  /** Names the value, says what it means and what to do. Long values are truncated. */
  readonly message: string;
  /**
   * Whether two objects contradict each other, as they may for a moment while both change. Report
   * the Problem only if it lasts (agent/report/settling-problems.ts).
   */
  readonly settling?: true;
}

/** Why a prefix is not believed to be a node's: a Problem that does not name the node yet. */
export interface Refusal extends Pick<Problem, 'reason' | 'settling'> {
  /** Continues a sentence that begins with the prefix: `is a loopback address, ...`. */
  readonly message: string;
}

/** Returns a key that is equal for equal problems. */
export function problemKey({ object, reason, message }: Problem): string {
  return `${object}\n${reason}\n${message}`;
}

/** Names an object of a Problem. A name from a file or a block can be any text, which is quoted. */
export function objectOf(kind: string, name: string): string {
  return `${kind}/${/^[\w.:/-]{1,320}$/.test(name) ? name : quoted(name)}`;
}

/** Formats untrusted input for a message: quoted, printable, truncated. */
export function quoted(value: unknown): string {
  const plain = numberText('', value);
  const text = typeof plain === 'string' ? plain : (JSON.stringify(plain, numberText) ?? String(plain));
  const truncated = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(truncated);
}

/** Replaces numbers that JSON.stringify does not support with their text. */
function numberText(_: string, value: unknown): unknown {
  if (value instanceof ExactNumber) return value.text;
  return typeof value === 'bigint' ? String(value) : value;
}

/** Lists names for a message: the first three, then the number of the others. */
export function listed(names: readonly string[]): string {
  return names.slice(0, 3).map(quoted).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
}
