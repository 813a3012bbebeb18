/** Problems: what in the cluster cannot be used, and how its administrator can correct it. */
import { ExactNumber } from './exact-number.ts';

/**
 * Something in the cluster or the configuration that cannot be used, with what to do about it. A
 * problem never stops the rest of a plan.
 */
export interface Problem {
  /** `Node/worker-1`, `IPAMBlock/10-0-0-0-26`, `FelixConfiguration/default`. */
  readonly object: string;
  /**
   * CamelCase and stable, for Events and metrics: `InvalidPublicKey`, `DuplicatePublicKey`,
   * `MissingNodeAddress`, ...
   */
  readonly reason: string;
  /** Names the value, what it means and what to do. Long values are truncated. */
  readonly message: string;
}

/** Returns a key that is equal for equal problems. */
export function problemKey({ object, reason, message }: Problem): string {
  return `${object}\n${reason}\n${message}`;
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

/** Lists names for a message: the first three, and the number of the rest. */
export function listed(names: readonly string[]): string {
  return names.slice(0, 3).map(quoted).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
}
