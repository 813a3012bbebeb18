/** What in the cluster cannot be used as it is, said so that somebody can mend it. A problem never stops the rest. */
import { ExactNumber } from './exact-number.ts';

/**
 * Something in the cluster or the configuration that cannot be used, with what to do about it. A
 * problem never stops the rest of a plan.
 */
export interface Problem {
  /** `Node/worker-1`, `IPAMBlock/10-0-0-0-26`, `FelixConfiguration/default`. */
  readonly object: string;
  /** CamelCase and stable, for Events and metrics: `InvalidPublicKey`, `DuplicatePublicKey`, `MissingNodeAddress`, ... */
  readonly reason: string;
  /** Names the value and what to do. Values of any length are cut. */
  readonly message: string;
}

/** The same problem of the same object. */
export function problemKey({ object, reason, message }: Problem): string {
  return `${object}\n${reason}\n${message}`;
}

/** What somebody else wrote, fit for a message: quoted, printable, cut. */
export function quoted(value: unknown): string {
  const plain = numberText('', value);
  const text = typeof plain === 'string' ? plain : (JSON.stringify(plain, numberText) ?? String(plain));
  const cut = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(cut);
}

/** A number that JSON.stringify does not know, as text. */
function numberText(_: string, value: unknown): unknown {
  if (value instanceof ExactNumber) return value.text;
  return typeof value === 'bigint' ? String(value) : value;
}

/** Several of them, of which the first few are named. */
export function listed(names: readonly string[]): string {
  return names.slice(0, 3).map(quoted).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
}
