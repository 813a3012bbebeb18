/**
 * Calico's definitions, for tests, by the fields that calico-wireguard 1.1 and 2.4 name; others are kept as they come, as newer versions have more.
 * In both groups: `crd.projectcalico.org/v1`, and `projectcalico.org/v3` where the objects are stored natively.
 */
import type { CalicoGroup } from '../../src/calico/datastore/kinds.ts';
import type { Manifest } from './control-plane.ts';

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const integer: Schema = { type: 'integer' };
const texts: Schema = { type: 'array', items: text };
const some = (properties: Schema, required: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  'x-kubernetes-preserve-unknown-fields': true,
  ...(required.length > 0 && { required }),
});
const duration: Schema = { type: 'string', pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))*$' };
const range = some({ min: integer, max: integer }, ['min', 'max']);

const felix: Schema = some({
  wireguardEnabled: flag,
  wireguardEnabledV6: flag,
  wireguardListeningPort: integer,
  wireguardListeningPortV6: integer,
  wireguardRoutingRulePriority: integer,
  wireguardInterfaceName: text,
  wireguardInterfaceNameV6: text,
  wireguardMTU: integer,
  wireguardMTUV6: integer,
  wireguardHostEncryptionEnabled: flag,
  wireguardKeepAlive: duration,
  wireguardThreadingEnabled: flag,
  prometheusWireGuardMetricsEnabled: flag,
  routeTableRange: range,
  routeTableRanges: { type: 'array', items: range },
  iptablesMarkMask: { type: 'integer', format: 'int64' },
  nftablesMarkMask: { type: 'integer', format: 'int64' },
  routeSource: { type: 'string', pattern: '^(?i)(WorkloadIPs|CalicoIPAM)?$' },
  routeRefreshInterval: duration,
  routeSyncDisabled: flag,
  deviceRouteProtocol: integer,
  mtuIfacePattern: text,
  ipv6Support: flag,
  nodeSelector: text,
});
const pool: Schema = some(
  {
    cidr: text,
    blockSize: integer,
    ipipMode: text,
    vxlanMode: text,
    natOutgoing: flag,
    disabled: flag,
    nodeSelector: text,
    allowedUses: texts,
  },
  ['cidr'],
);
const block: Schema = some(
  {
    cidr: text,
    affinity: text,
    allocations: { type: 'array', items: { type: 'integer', nullable: true } },
    unallocated: { type: 'array', items: integer },
    strictAffinity: flag,
    deleted: flag,
    attributes: {
      type: 'array',
      items: some({ handle_id: text, secondary: { type: 'object', additionalProperties: text } }),
    },
    sequenceNumber: { type: 'integer', format: 'int64' },
  },
  ['cidr', 'allocations', 'unallocated', 'attributes', 'strictAffinity'],
);
const handle: Schema = some(
  { handleID: text, block: { type: 'object', additionalProperties: integer }, deleted: flag },
  ['handleID', 'block'],
);
const affinity = (deleted: Schema): Schema =>
  some({ cidr: text, node: text, type: text, state: text, deleted }, ['cidr', 'node', 'state']);

/** The kinds that the agent reads or, for addresses, writes. */
export function calicoCrds(group: CalicoGroup): readonly Manifest[] {
  const specs: readonly [string, string, Schema][] = [
    ['FelixConfiguration', 'felixconfigurations', felix],
    ['IPPool', 'ippools', pool],
    ['IPAMBlock', 'ipamblocks', block],
    ['IPAMHandle', 'ipamhandles', handle],
    ['BlockAffinity', 'blockaffinities', affinity(group === 'projectcalico.org/v3' ? flag : text)],
  ];
  return specs.map(([kind, plural, spec]) => definition(group, kind, plural, spec));
}

function definition(group: CalicoGroup, kind: string, plural: string, spec: Schema): Manifest {
  const [name, version] = group.split('/') as [string, string];
  const properties = { apiVersion: text, kind: text, metadata: { type: 'object' }, spec };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${name}` },
    spec: {
      group: name,
      scope: 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [
        { name: version, served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties } } },
      ],
    },
  };
}
