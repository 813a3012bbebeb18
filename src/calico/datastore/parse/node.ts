/**
 * Parses a Kubernetes Node with Calico's annotations
 * (docs/reference/calico-felix.md#node-annotations, #nodes-read). Keys are kept as written: the
 * planner decides whether they are valid.
 */
import type { Family } from '../../../base/family.ts';
import type { Prefix } from '../../../base/prefix.ts';
import {
  ADDRESS_ANNOTATION,
  IPIP_ANNOTATION,
  KEY_ANNOTATION,
  LABELS_ANNOTATION,
  NODE_ANNOTATION,
  VXLAN_ANNOTATION,
} from '../../model/annotations.ts';
import type { ClusterNode, NodeAddress, PerFamily } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { parseCidr } from './go-text.ts';
import { type Fields, isFields, type ObjectReader, openObject, type Parsed } from './reader.ts';

const READ_ANNOTATIONS = new Set(
  [KEY_ANNOTATION, ADDRESS_ANNOTATION, NODE_ANNOTATION, IPIP_ANNOTATION, VXLAN_ANNOTATION].flatMap(names =>
    Object.values(names),
  ),
);

const CALICO = 'projectcalico.org/';
/** Set by the installer. The API server lets no kubelet set a label of this domain on its Node. */
const CONTROL_PLANE_LABELS = ['control-plane', 'master', 'controlplane'].map(role => `node-role.kubernetes.io/${role}`);
/** Far above the addresses of a machine; a Node has two podCIDRs at most. */
const MOST_ADDRESSES = 256;
const MOST_POD_CIDRS = 16;
/** Kubernetes' limit for the total size of an object's annotations. */
const LONGEST_LABELS = 262_144;

export function parseNode(object: unknown): Parsed<ClusterNode> {
  const { reader, name, metadata, top } = openObject('Node', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const uid = reader.text(metadata['uid'], 'metadata.uid');
  const creationTimestamp = reader.text(metadata['creationTimestamp'], 'metadata.creationTimestamp');
  const annotations = reader.annotations(metadata['annotations'], key => READ_ANNOTATIONS.has(key));
  const addressesOf = (names: PerFamily<string>): PerFamily<Uint8Array> =>
    perFamily(names, (key, family) => reader.address(annotations[key], `annotation ${key}`, family));
  const bgp = perFamily(NODE_ANNOTATION, (key, family) =>
    reader.addressInNetwork(annotations[key], `annotation ${key}`, family),
  );
  const labels = labelsOf(reader, metadata['labels']);
  const spec = reader.fields(top['spec'], 'spec');
  const cidrs = podCidrs(reader, spec);
  const value: ClusterNode = {
    name,
    ...(uid !== undefined && { uid }),
    ...(creationTimestamp !== undefined && { creationTimestamp }),
    ...(CONTROL_PLANE_LABELS.some(each => Object.hasOwn(labels, each)) && { isControlPlane: true }),
    labels: { ...calicoLabels(reader, metadata['annotations']), ...labels },
    bgpAddress: perFamily(NODE_ANNOTATION, (_, family) => bgp[family]?.address),
    bgpLength: perFamily(NODE_ANNOTATION, (_, family) => bgp[family]?.length),
    addresses: statusAddresses(reader, reader.fields(top['status'], 'status')),
    publicKey: perFamily(KEY_ANNOTATION, key => annotations[key] || undefined),
    wireguardAddress: addressesOf(ADDRESS_ANNOTATION),
    ipipAddress: addressesOf(IPIP_ANNOTATION),
    vxlanAddress: addressesOf(VXLAN_ANNOTATION),
    podCidrs: cidrs,
    ...(podCidrAddress(spec) && { podCidrAddress: podCidrAddress(spec)! }),
    annotations: calicoAnnotations(annotations),
  };
  return { value, problems };
}

/** Returns Calico's annotations. Those of other programs would be most of a Node. */
function calicoAnnotations(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => name.startsWith(CALICO)));
}

function perFamily<T>(
  names: PerFamily<string>,
  read: (name: string, family: Family) => T | undefined,
): { [family in Family]?: T } {
  const out: { [family in Family]?: T } = {};
  for (const family of [4, 6] as const) {
    const name = names[family];
    const value = name === undefined ? undefined : read(name, family);
    if (value !== undefined) out[family] = value;
  }
  return out;
}

function labelsOf(reader: ObjectReader, value: unknown): Readonly<Record<string, string>> {
  const labels = Object.entries(reader.fields(value, 'metadata.labels'));
  return Object.fromEntries(
    labels.flatMap(([name, text]) => {
      if (typeof text === 'string') return [[name, text] as const];
      reader.problem('InvalidField', `label ${quoted(name)} is ${quoted(text)}, but must be text; it is ignored`);
      return [];
    }),
  );
}

/**
 * Reads the labels that calicoctl set; Kubernetes' own labels take precedence. As in Calico, one
 * invalid label invalidates all of them, except that `null` counts as empty text.
 */
function calicoLabels(reader: ObjectReader, value: unknown): Readonly<Record<string, string>> {
  const text = isFields(value) && Object.hasOwn(value, LABELS_ANNOTATION) ? value[LABELS_ANNOTATION] : undefined;
  if (text === undefined || text === '') return {};
  const bad = (why: string): undefined =>
    reader.problem(
      'InvalidLabels',
      `annotation ${LABELS_ANNOTATION} is ${quoted(text)}, ${why}; none of these labels is used`,
    );
  if (typeof text !== 'string') return bad('but must be text') ?? {};
  if (text.length > LONGEST_LABELS) return bad(`and longer than ${LONGEST_LABELS} characters`) ?? {};
  let labels: unknown;
  try {
    labels = JSON.parse(text);
  } catch {
    return bad('which is not JSON') ?? {};
  }
  if (labels === null) return {};
  if (!isFields(labels)) return bad('but must be an object') ?? {};
  const entries = Object.entries(labels).map(([name, each]) => [name, each ?? ''] as const);
  const wrong = entries.find(([, each]) => typeof each !== 'string');
  if (wrong) return bad(`and its label ${quoted(wrong[0])} is not text`) ?? {};
  return Object.fromEntries(entries) as Record<string, string>;
}

function statusAddresses(reader: ObjectReader, status: Fields): readonly NodeAddress[] {
  return reader.shortList(status['addresses'], 'status.addresses', MOST_ADDRESSES).flatMap((each, i) => {
    const path = `status.addresses[${i}]`;
    if (!isFields(each)) {
      reader.problem('InvalidField', `${path} is ${quoted(each)}, but must be an object; it is ignored`);
      return [];
    }
    const type = each['type'];
    if (type !== 'InternalIP' && type !== 'ExternalIP') return [];
    const address = reader.addressInNetwork(each['address'], `${path}.address`)?.address;
    return address ? [{ type, address }] : [];
  });
}

function podCidrs(reader: ObjectReader, spec: Fields): readonly Prefix[] {
  const several = reader.shortList(spec['podCIDRs'], 'spec.podCIDRs', MOST_POD_CIDRS);
  if (several.length > 0) return several.flatMap((each, i) => reader.prefix(each, `spec.podCIDRs[${i}]`) ?? []);
  return [reader.prefix(spec['podCIDR'], 'spec.podCIDR') ?? []].flat();
}

/**
 * Returns the address with its host bits, because Calico counts from it. `podCidrs` reports invalid
 * CIDRs.
 */
function podCidrAddress({ podCIDR, podCIDRs }: Fields): Uint8Array | undefined {
  const text = podCIDR ?? (Array.isArray(podCIDRs) ? (podCIDRs[0] as unknown) : undefined);
  return typeof text === 'string' ? parseCidr(text)?.address : undefined;
}
