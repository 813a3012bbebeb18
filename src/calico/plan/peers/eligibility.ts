/**
 * Decides whether a node can be a peer (docs/reference/calico-felix.md#eligible-peers): it must
 * publish an address, and a key that no other node published before. A node with a published key
 * can be a peer even if its configuration disables WireGuard, because another agent may have
 * published the key. Felix does the same.
 */
import { formatAddress } from '../../../base/address.ts';
import type { Family } from '../../../base/family.ts';
import { formatKeyBase64, isZeroKey } from '../../../base/key.ts';
import { KEY_ANNOTATION, NODE_ANNOTATION } from '../../model/annotations.ts';
import type { ClusterNode } from '../../model/cluster.ts';
import { parseGoKey } from '../../model/go-key.ts';
import { objectOf, type Problem, quoted } from '../../model/problem.ts';
import type { PlainReason } from '../../model/status.ts';
import { nodeAddress } from './node-addresses.ts';
import { reservedEndpoint } from './reserved-addresses.ts';

/**
 * Key and endpoint as one Node publishes them, validated without comparing them to other nodes'.
 */
export interface Credentials {
  /** The key in canonical base64, for comparing nodes. */
  readonly keyText?: string;
  readonly key?: Uint8Array;
  /** Text of an annotation that is not a valid key. */
  readonly invalidKey?: string;
  readonly address?: Uint8Array;
  /** Describes an address that cannot be an endpoint: `a loopback address`. */
  readonly unusable?: string;
  /**
   * Quotes an address annotation that yields no endpoint and gives the reason: `10.0.0.5, which
   * ...`.
   */
  readonly missingEndpoint?: string;
}

export interface Eligibility extends Credentials {
  /** Why the node is not a peer; absent if the node is a peer. */
  readonly plain?: PlainReason;
}

/** Reads a Node's credentials for one family. */
export function readCredentials(node: ClusterNode, family: Family): Credentials {
  const text = node.publicKey[family];
  const address = nodeAddress(node, family);
  const unusable = address && reservedEndpoint(address);
  const missingEndpoint = address ? undefined : explainMissingEndpoint(node, family);
  const key = text ? parseGoKey(text) : undefined;
  return {
    ...(key && !isZeroKey(key) ? { key, keyText: formatKeyBase64(key) } : text ? { invalidKey: text } : {}),
    ...(address && { address }),
    ...(unusable !== undefined && { unusable }),
    ...(missingEndpoint !== undefined && { missingEndpoint }),
  };
}

/**
 * Returns why a node is not a peer, or undefined if it is a peer.
 * @param isDisabled called only for nodes without a key
 */
export function plainReason(
  { key, keyText, invalidKey, address, unusable }: Credentials,
  isKeyOfOther: (keyText: string) => boolean,
  isDisabled: () => boolean,
): PlainReason | undefined {
  if (invalidKey !== undefined) return 'invalid-key';
  if (!key || keyText === undefined) return isDisabled() ? 'disabled' : 'no-key';
  if (isKeyOfOther(keyText)) return 'duplicate-key';
  if (!address) return 'no-node-address';
  return unusable === undefined ? undefined : 'unusable-node-address';
}

/**
 * Returns the Problem that keeps a node from being a peer. Returns undefined if the node is a peer,
 * has WireGuard disabled or has not published a key yet.
 */
export function eligibilityProblem(
  name: string,
  family: Family,
  { plain, invalidKey, keyText, address: endpoint, unusable, missingEndpoint }: Eligibility,
  keyOwner: string | undefined,
): Problem | undefined {
  const [key, address] = [KEY_ANNOTATION[family], NODE_ANNOTATION[family]];
  const object = objectOf('Node', name);
  switch (plain) {
    case 'invalid-key':
      return {
        object,
        reason: 'InvalidPublicKey',
        message: `annotation ${key} is ${quoted(invalidKey)}, which is not a valid key (base64 of 32 bytes, not all zero); remove it, and the node's agent publishes its key again`,
      };
    case 'duplicate-key':
      return {
        object,
        reason: 'DuplicatePublicKey',
        message: `key ${keyText} in annotation ${key} belongs to node ${quoted(keyOwner)}, which had it first, so this node does not become a peer; give it a key of its own (on a copy of another machine, delete the key files in the agent's --key-dir and restart the agent), and see who wrote the annotation`,
      };
    case 'no-node-address':
      if (missingEndpoint !== undefined)
        return { object, reason: 'MissingNodeAddress', message: `annotation ${address} is ${missingEndpoint}` };
      return {
        object,
        reason: 'MissingNodeAddress',
        message: `the node has a key but no IPv${family} address: it lacks annotation ${address} and an InternalIP or ExternalIP of that family; set Calico's IP autodetection`,
      };
    case 'unusable-node-address':
      return {
        object,
        reason: 'UnusableNodeAddress',
        message: `the node's IPv${family} address is ${quoted(endpoint && formatAddress(endpoint))}, ${unusable}, so it cannot be an endpoint; correct annotation ${address}, which Calico's IP autodetection writes, or the addresses in the Node's status`,
      };
    default:
      return undefined;
  }
}

/** Quotes the node's address annotation and explains why Felix does not use it as an endpoint. */
function explainMissingEndpoint({ bgpAddress, bgpLength }: ClusterNode, family: Family): string | undefined {
  const address = bgpAddress[family];
  if (!address) return undefined;
  const text = quoted(formatAddress(address));
  if (!bgpLength || bgpLength[family] !== undefined)
    return `${text}, which is the unspecified address; set Calico's IP autodetection`;
  return `${text}, which Felix does not use as an endpoint without a prefix length; append one, such as /24`;
}
