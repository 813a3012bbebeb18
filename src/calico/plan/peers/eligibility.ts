/**
 * What a node brings to be a peer: a key that is its alone, and an address (docs/reference/calico-felix.md#eligible-peers). Felix looks at keys only: a node with a
 * key is a peer whatever its configuration says, for it may have an agent of its own.
 */
import { formatAddress } from '../../../base/address.ts';
import type { Family } from '../../../base/family.ts';
import { formatKeyBase64, isZeroKey } from '../../../base/key.ts';
import { KEY_ANNOTATION, NODE_ANNOTATION } from '../../model/annotations.ts';
import type { ClusterNode } from '../../model/cluster.ts';
import { listed, type Problem, quoted } from '../../model/problem.ts';
import type { PlainReason } from '../../model/status.ts';
import { parseGoKey } from './go-key.ts';
import { nodeAddress } from './node-addresses.ts';
import { reservedEndpoint } from './reserved-addresses.ts';

/** What one Node says by itself. */
export interface Credentials {
  /** As text, which two nodes are compared by. */
  readonly keyText?: string;
  readonly key?: Uint8Array;
  /** What is there in place of a key. */
  readonly badKey?: string;
  readonly address?: Uint8Array;
  /** What that address is, where it can be nobody's endpoint: `a loopback address`. */
  readonly unusable?: string;
  /** What annotation there is in place of an address, and why it is none: `10.0.0.5, which ...`. */
  readonly noEndpoint?: string;
}

export interface Standing extends Credentials {
  /** Absent: it is a peer. */
  readonly plain?: PlainReason;
}

export function credentials(node: ClusterNode, family: Family): Credentials {
  const text = node.publicKey[family];
  const address = nodeAddress(node, family);
  const unusable = address && reservedEndpoint(address);
  const noEndpoint = address ? undefined : whyNone(node, family);
  const key = text ? parseGoKey(text) : undefined;
  return {
    ...(key && !isZeroKey(key) ? { key, keyText: formatKeyBase64(key) } : text ? { badKey: text } : {}),
    ...(address && { address }),
    ...(unusable !== undefined && { unusable }),
    ...(noEndpoint !== undefined && { noEndpoint }),
  };
}

/** The names of those with a key that is not theirs alone, by key. */
export function keySharers(all: ReadonlyMap<string, Credentials>): ReadonlyMap<string, readonly string[]> {
  const first = new Map<string, string>();
  const sharers = new Map<string, string[]>();
  for (const [name, { keyText }] of all) {
    if (keyText === undefined) continue;
    const other = first.get(keyText);
    if (other === undefined) first.set(keyText, name);
    else sharers.set(keyText, [...(sharers.get(keyText) ?? [other]), name]);
  }
  return sharers;
}

/** @param isDisabled asked of nodes without a key only */
export function plainReason(
  { key, keyText, badKey, address, unusable }: Credentials,
  isClaimedTwice: (keyText: string) => boolean,
  isDisabled: () => boolean,
): PlainReason | undefined {
  if (badKey !== undefined) return 'invalid-key';
  if (!key || keyText === undefined) return isDisabled() ? 'disabled' : 'no-key';
  if (isClaimedTwice(keyText)) return 'duplicate-key';
  if (!address) return 'no-node-address';
  return unusable === undefined ? undefined : 'unusable-node-address';
}

/** What to tell people of a node that is no peer; nothing where that is what they asked for. */
export function standingProblem(
  name: string,
  family: Family,
  { plain, badKey, keyText, address: endpoint, unusable, noEndpoint }: Standing,
  claimants: readonly string[],
): Problem | undefined {
  const [key, address] = [KEY_ANNOTATION[family], NODE_ANNOTATION[family]];
  const object = `Node/${name}`;
  switch (plain) {
    case 'invalid-key':
      return {
        object,
        reason: 'InvalidPublicKey',
        message: `annotation ${key} is ${quoted(badKey)}, which is not the base64 of a key of 32 bytes that are not all zero; remove it, and the node's agent writes a new one`,
      };
    case 'duplicate-key': {
      const shown = listed(claimants.filter(each => each !== name));
      return {
        object,
        reason: 'DuplicatePublicKey',
        message: `key ${keyText} in annotation ${key} is that of ${shown} too, so that none of them is a peer; give each node a key of its own`,
      };
    }
    case 'no-node-address':
      if (noEndpoint !== undefined)
        return { object, reason: 'MissingNodeAddress', message: `annotation ${address} is ${noEndpoint}` };
      return {
        object,
        reason: 'MissingNodeAddress',
        message: `it has a key but no IPv${family} address: annotation ${address} and an InternalIP or ExternalIP of that family are missing; set Calico's IP autodetection`,
      };
    case 'unusable-node-address':
      return {
        object,
        reason: 'UnusableNodeAddress',
        message: `its IPv${family} address is ${quoted(endpoint && formatAddress(endpoint))}, ${unusable}, and no endpoint; correct annotation ${address}, which Calico's IP autodetection writes, or the addresses in the Node's status`,
      };
    default:
      return undefined;
  }
}

function whyNone({ bgpAddress, bgpLength }: ClusterNode, family: Family): string | undefined {
  const address = bgpAddress[family];
  if (!address) return undefined;
  const text = quoted(formatAddress(address));
  if (!bgpLength || bgpLength[family] !== undefined) return `${text}, which is nobody's; set Calico's IP autodetection`;
  return `${text}, which Felix takes for no endpoint without a prefix length; write one behind it, such as /24`;
}
