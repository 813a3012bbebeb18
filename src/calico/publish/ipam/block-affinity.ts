/**
 * Block affinities (a node's claim to a block) as Calico writes them (libcalico-go's
 * `EnsureBlockAffinityLabels`). In either API group, Calico's IPAM finds affinities by these
 * labels. It overlooks an affinity that lacks them, and claims a second block for the node.
 */
import { createHash } from 'node:crypto';
import { sha3_256 } from '@noble/hashes/sha3.js';
import { base32nopad } from '@scure/base';
import type { IpamObject } from './port.ts';

const LABEL = 'projectcalico.org/';
/** Longest object name in characters. */
const MAX_NAME_LENGTH = 252;

/**
 * Returns the affinity with Calico's labels added to its own. An affinity without a type belongs to
 * a host, because older versions of Calico have no other type.
 */
export function withLabels(affinity: IpamObject): IpamObject {
  const type = affinity.spec?.['type'] || 'host';
  const labels = { ...labelsOf(affinity), ...requiredLabels(affinity) };
  return { ...affinity, metadata: { ...affinity.metadata, labels }, spec: { ...affinity.spec, type } };
}

/** Returns whether the affinity has all labels that Calico looks for. */
export function hasLabels(affinity: IpamObject): boolean {
  const labels = labelsOf(affinity);
  return Object.entries(requiredLabels(affinity)).every(([name, value]) => labels[name] === value);
}

/**
 * Returns whether Calico is deleting the affinity. Calico first sets `deleted`, as a string in
 * crd.projectcalico.org/v1 and as a boolean in projectcalico.org/v3.
 */
export function isDeleted({ spec }: IpamObject): boolean {
  return spec?.['deleted'] === true || spec?.['deleted'] === 'true';
}

/**
 * Returns the object name of an affinity, shortened with a hash if it would be too long.
 * @param block name of the block's object
 */
export function affinityName(node: string, block: string): string {
  const name = `${node}-${block}`;
  if (name.length <= MAX_NAME_LENGTH) return name;
  const hash = createHash('sha256').update(`${node}+${block}`).digest('hex').slice(0, 11);
  return `${node.slice(0, MAX_NAME_LENGTH - block.length - 13)}-${block}-${hash}`;
}

function requiredLabels({ spec = {} }: IpamObject): Readonly<Record<string, string>> {
  return {
    [`${LABEL}hostname-hash`]: base32nopad.encode(sha3_256(new TextEncoder().encode(String(spec['node'])))),
    [`${LABEL}affinity-type`]: String(spec['type'] || 'host'),
    [`${LABEL}ip-version`]: String(spec['cidr']).includes(':') ? '6' : '4',
  };
}

function labelsOf({ metadata }: IpamObject): Readonly<Record<string, unknown>> {
  return (metadata['labels'] ?? {}) as Readonly<Record<string, unknown>>;
}
