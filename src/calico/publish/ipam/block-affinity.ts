/**
 * A node's claim to a block as Calico writes it (libcalico-go's `EnsureBlockAffinityLabels`): its IPAM looks claims up by these labels, in either API group.
 * One without them is no claim of the node to it, so that it takes a second block.
 */
import { createHash } from 'node:crypto';
import { sha3_256 } from '@noble/hashes/sha3.js';
import { base32nopad } from '@scure/base';
import type { IpamObject } from './port.ts';

const LABEL = 'projectcalico.org/';
/** Characters of an object's name. */
const LONGEST_NAME = 252;

/** Other labels stay. One that says no type is of a host, as it was before there were others. */
export function labelled(affinity: IpamObject): IpamObject {
  const type = affinity.spec?.['type'] || 'host';
  const labels = { ...labelsOf(affinity), ...wanted(affinity) };
  return { ...affinity, metadata: { ...affinity.metadata, labels }, spec: { ...affinity.spec, type } };
}

export function isLabelled(affinity: IpamObject): boolean {
  const labels = labelsOf(affinity);
  return Object.entries(wanted(affinity)).every(([name, value]) => labels[name] === value);
}

/** Calico marks an affinity so before it deletes it: by a text in crd.projectcalico.org/v1, by a boolean in projectcalico.org/v3. */
export function isDeleted({ spec }: IpamObject): boolean {
  return spec?.['deleted'] === true || spec?.['deleted'] === 'true';
}

/** @param block the name of the block's object */
export function affinityName(node: string, block: string): string {
  const name = `${node}-${block}`;
  if (name.length <= LONGEST_NAME) return name;
  const hash = createHash('sha256').update(`${node}+${block}`).digest('hex').slice(0, 11);
  return `${node.slice(0, LONGEST_NAME - block.length - 13)}-${block}-${hash}`;
}

function wanted({ spec = {} }: IpamObject): Readonly<Record<string, string>> {
  return {
    [`${LABEL}hostname-hash`]: base32nopad.encode(sha3_256(new TextEncoder().encode(String(spec['node'])))),
    [`${LABEL}affinity-type`]: String(spec['type'] || 'host'),
    [`${LABEL}ip-version`]: String(spec['cidr']).includes(':') ? '6' : '4',
  };
}

function labelsOf({ metadata }: IpamObject): Readonly<Record<string, unknown>> {
  return (metadata['labels'] ?? {}) as Readonly<Record<string, unknown>>;
}
