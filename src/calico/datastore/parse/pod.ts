/**
 * Parses Pod. If Calico's IPAM does not assign a pod's addresses, they belong to the pod's node
 * (docs/reference/calico-felix.md#prefix-owners, WorkloadIPs).
 */
import type { Pod } from '../../model/cluster.ts';
import { type Fields, isFields, type ObjectReader, openObject, type Parsed } from './reader.ts';

const POD_IP = 'cni.projectcalico.org/podIP';
const POD_IPS = 'cni.projectcalico.org/podIPs';
const AWS_POD_IPS = 'vpc.amazonaws.com/pod-ips';
const ANNOTATIONS = [POD_IPS, POD_IP, AWS_POD_IPS];
/** Kubernetes allows one address of each family; CNI plugins may add some. */
const MOST_ADDRESSES = 16;
const FINISHED: readonly unknown[] = ['Succeeded', 'Failed', 'Completed'];

/**
 * Parses a pod. Returns no value for a pod that has no node or no address, uses the host's network,
 * or has finished.
 */
export function parsePod(object: unknown): Parsed<Pod> {
  const { reader, name, metadata, top } = openObject('Pod', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : '';
  const spec = reader.fields(top['spec'], 'spec');
  const status = reader.fields(top['status'], 'status');
  const node = reader.text(spec['nodeName'], 'spec.nodeName');
  const annotations = reader.annotations(metadata['annotations'], key => ANNOTATIONS.includes(key));
  if (node === undefined || reader.flag(spec['hostNetwork'], 'spec.hostNetwork')) return { problems };
  if (FINISHED.includes(status['phase'])) return { problems };
  // CNI plugins set an empty annotation when a terminating pod has released its address.
  if (metadata['deletionTimestamp'] && ANNOTATIONS.some(key => annotations[key] === '')) return { problems };
  const addresses = addressesOf(reader, status, annotations);
  if (addresses.length === 0) return { problems };
  const creationTimestamp = reader.text(metadata['creationTimestamp'], 'metadata.creationTimestamp');
  return {
    value: { namespace, name, ...(creationTimestamp !== undefined && { creationTimestamp }), node, addresses },
    problems,
  };
}

/**
 * Returns the addresses from the first source that has any. As in Calico, one invalid address
 * invalidates the whole source.
 */
function addressesOf(
  reader: ObjectReader,
  status: Fields,
  annotations: Readonly<Record<string, string>>,
): readonly Uint8Array[] {
  const texts = addressTexts(reader, status, annotations);
  const found = texts.map(([text, path]) => {
    if (text !== '') return reader.addressInNetwork(text, path)?.address;
    return reader.problem('InvalidAddress', `${path} has an empty address in its list; the pod has no address`);
  });
  return found.includes(undefined) ? [] : (found as Uint8Array[]);
}

function addressTexts(
  reader: ObjectReader,
  status: Fields,
  annotations: Readonly<Record<string, string>>,
): readonly (readonly [unknown, string])[] {
  const several = reader.shortList(status['podIPs'], 'status.podIPs', MOST_ADDRESSES);
  if (several.length > 0)
    return several.map((each, i) => [isFields(each) ? each['ip'] : each, `status.podIPs[${i}].ip`]);
  const one = reader.text(status['podIP'], 'status.podIP');
  if (one !== undefined) return [[one, 'status.podIP']];
  const name = ANNOTATIONS.find(key => annotations[key]);
  if (name === undefined) return [];
  const parts = name === POD_IP ? [annotations[name]!] : annotations[name]!.split(',');
  return reader.shortList(parts, `annotation ${name}`, MOST_ADDRESSES).map(text => [text, `annotation ${name}`]);
}
