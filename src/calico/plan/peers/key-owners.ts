/**
 * Decides to which node a key belongs that several nodes publish: to the first one. Another node
 * can copy the key at any time, but without the private key it could only take traffic away, so
 * the copy must change nothing for the first node.
 *
 * What was seen first is remembered outside (datastore/key-history.ts): a plan has no memory.
 * Where nothing is remembered, the Node that was created first counts, because no Node can change
 * its age. So a restart gives a copy no advantage.
 */
import type { Credentials } from './eligibility.ts';

export interface KeyOwnersInput {
  /** Credentials of the other nodes, in order of name. */
  readonly credentials: ReadonlyMap<string, Credentials>;
  /** The node that published each key first, as far as is known. */
  readonly remembered?: ReadonlyMap<string, string> | undefined;
  readonly isNode: (name: string) => boolean;
  /** When the Node was created: RFC 3339. */
  readonly created: (name: string) => string | undefined;
}

/** Returns a function that returns the owner of a key that a node publishes. */
export function keyOwners({
  credentials,
  remembered,
  isNode,
  created,
}: KeyOwnersInput): (keyText: string) => string | undefined {
  const oldest = new Map<string, string>();
  const age = (name: string): string => `${created(name) ?? ''} ${name}`;
  for (const [name, { keyText }] of credentials) {
    if (keyText === undefined) continue;
    const other = oldest.get(keyText);
    if (other === undefined || age(name) < age(other)) oldest.set(keyText, name);
  }
  return keyText => {
    const first = remembered?.get(keyText);
    // A key that is absent for a moment, as after each start of Felix, still belongs to its node.
    const isKept = first !== undefined && isNode(first) && (credentials.get(first)?.keyText ?? keyText) === keyText;
    return isKept ? first : oldest.get(keyText);
  };
}
