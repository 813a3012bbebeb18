/** A Kubernetes Node with Calico's annotations (calico-wireguard 2.1, 2.2). Keys are taken as they are written: whether they are any is the plan's to say. */
import type { Prefix } from '../../../base/prefix.ts';
import type { Family } from '../../../netlink/family.ts';
import {
  ADDRESS_ANNOTATION,
  IPIP_ANNOTATION,
  KEY_ANNOTATION,
  NODE_ANNOTATION,
  VXLAN_ANNOTATION,
} from '../../model/annotations.ts';
import type { ClusterNode, NodeAddress, PerFamily } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { type Fields, isFields, type ObjectReader, open, type Parsed } from './reader.ts';

const READ = new Set(
  [KEY_ANNOTATION, ADDRESS_ANNOTATION, NODE_ANNOTATION, IPIP_ANNOTATION, VXLAN_ANNOTATION].flatMap(names =>
    Object.values(names),
  ),
);

export function parseNode(object: unknown): Parsed<ClusterNode> {
  const { reader, name, metadata, top } = open('Node', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const uid = reader.text(metadata['uid'], 'metadata.uid');
  const annotations = reader.annotations(metadata['annotations'], key => READ.has(key));
  const addressesOf = (names: PerFamily<string>): PerFamily<Uint8Array> =>
    perFamily(names, (key, family) => reader.address(annotations[key], `annotation ${key}`, family));
  const value: ClusterNode = {
    name,
    ...(uid !== undefined && { uid }),
    labels: labelsOf(reader, metadata['labels']),
    bgpAddress: addressesOf(NODE_ANNOTATION),
    addresses: statusAddresses(reader, reader.fields(top['status'], 'status')),
    publicKey: perFamily(KEY_ANNOTATION, key => annotations[key] || undefined),
    wireguardAddress: addressesOf(ADDRESS_ANNOTATION),
    ipipAddress: addressesOf(IPIP_ANNOTATION),
    vxlanAddress: addressesOf(VXLAN_ANNOTATION),
    podCidrs: podCidrs(reader, reader.fields(top['spec'], 'spec')),
    annotations,
  };
  return { value, problems };
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

function statusAddresses(reader: ObjectReader, status: Fields): readonly NodeAddress[] {
  return reader.list(status['addresses'], 'status.addresses').flatMap((each, i) => {
    const path = `status.addresses[${i}]`;
    if (!isFields(each)) {
      reader.problem('InvalidField', `${path} is ${quoted(each)}, but must be an object; it is ignored`);
      return [];
    }
    const type = each['type'];
    if (type !== 'InternalIP' && type !== 'ExternalIP') return [];
    const address = reader.address(each['address'], `${path}.address`);
    return address ? [{ type, address }] : [];
  });
}

function podCidrs(reader: ObjectReader, spec: Fields): readonly Prefix[] {
  const several = reader.list(spec['podCIDRs'], 'spec.podCIDRs');
  if (several.length > 0) return several.flatMap((each, i) => reader.prefix(each, `spec.podCIDRs[${i}]`) ?? []);
  return [reader.prefix(spec['podCIDR'], 'spec.podCIDR') ?? []].flat();
}
