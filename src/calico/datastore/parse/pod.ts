/** Pod: whose traffic is a node's where Calico does not hand out the addresses (calico-wireguard 3.1, WorkloadIPs). */
import type { Pod } from '../../model/cluster.ts';
import { type Fields, isFields, type ObjectReader, open, type Parsed } from './reader.ts';

const POD_IP = 'cni.projectcalico.org/podIP';
const POD_IPS = 'cni.projectcalico.org/podIPs';
const AWS_POD_IPS = 'vpc.amazonaws.com/pod-ips';
const FINISHED: readonly unknown[] = ['Succeeded', 'Failed', 'Completed'];

/** No value for a pod that does not count: without a node, in the host's network, finished, without an address. */
export function parsePod(object: unknown): Parsed<Pod> {
  const { reader, name, metadata, top } = open('Pod', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : '';
  const spec = reader.fields(top['spec'], 'spec');
  const status = reader.fields(top['status'], 'status');
  const node = reader.text(spec['nodeName'], 'spec.nodeName');
  const annotations = reader.annotations(metadata['annotations'], key => [POD_IP, POD_IPS, AWS_POD_IPS].includes(key));
  if (node === undefined || reader.flag(spec['hostNetwork'], 'spec.hostNetwork')) return { problems };
  if (FINISHED.includes(status['phase'])) return { problems };
  // the CNI plugin says by an empty annotation that the address of a pod that is being deleted is free again
  if (metadata['deletionTimestamp'] && annotations[POD_IP] === '') return { problems };
  const addresses = addressesOf(reader, status, annotations);
  return addresses.length === 0 ? { problems } : { value: { namespace, name, node, addresses }, problems };
}

/** From the first place that has any. */
function addressesOf(
  reader: ObjectReader,
  status: Fields,
  annotations: Readonly<Record<string, string>>,
): readonly Uint8Array[] {
  const annotated = (name: string): readonly [unknown, string][] =>
    (annotations[name] ?? '').split(',').map(text => [text.trim(), `annotation ${name}`]);
  const places: (() => readonly [unknown, string][])[] = [
    () =>
      reader
        .list(status['podIPs'], 'status.podIPs')
        .map((each, i) => [isFields(each) ? each['ip'] : each, `status.podIPs[${i}].ip`]),
    () => [[status['podIP'], 'status.podIP']],
    () => annotated(POD_IPS),
    () => annotated(POD_IP),
    () => annotated(AWS_POD_IPS),
  ];
  for (const place of places) {
    const found = place().flatMap(([text, path]) => reader.address(text, path) ?? []);
    if (found.length > 0) return found;
  }
  return [];
}
