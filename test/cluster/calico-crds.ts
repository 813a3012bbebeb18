/**
 * Calico's kinds as CustomResourceDefinitions, as far as the agent and the guide touch them: names, scope and the fields of WireGuard (calico-wireguard
 * 1.1, 2.4), in either of the groups that Calico keeps them in. Beside them OpenShift's and the operator's, for their manifests.
 */

export type CalicoGroup = 'crd.projectcalico.org' | 'projectcalico.org';

type Schema = Readonly<Record<string, unknown>>;

const ANYTHING: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const PORT: Schema = { type: 'integer', minimum: 1, maximum: 65535 };
const PORTS: Schema = {
  type: 'array',
  items: {
    type: 'object',
    required: ['port'],
    properties: { protocol: { type: 'string' }, port: PORT, net: { type: 'string' } },
  },
};
const BOOLEAN: Schema = { type: 'boolean' };
const INTEGER: Schema = { type: 'integer' };
const TEXT: Schema = { type: 'string' };

/** Nothing else is known, so that strict validation finds a misspelt field. */
const FELIX: Schema = {
  type: 'object',
  properties: {
    wireguardEnabled: BOOLEAN,
    wireguardEnabledV6: BOOLEAN,
    wireguardListeningPort: PORT,
    wireguardListeningPortV6: PORT,
    wireguardRoutingRulePriority: INTEGER,
    wireguardInterfaceName: TEXT,
    wireguardInterfaceNameV6: TEXT,
    wireguardMTU: INTEGER,
    wireguardMTUV6: INTEGER,
    wireguardHostEncryptionEnabled: BOOLEAN,
    wireguardKeepAlive: TEXT,
    failsafeInboundHostPorts: PORTS,
    failsafeOutboundHostPorts: PORTS,
  },
};

const KINDS: readonly (readonly [kind: string, plural: string, spec: Schema])[] = [
  ['FelixConfiguration', 'felixconfigurations', FELIX],
  ['IPPool', 'ippools', ANYTHING],
  ['IPAMBlock', 'ipamblocks', ANYTHING],
  ['IPAMHandle', 'ipamhandles', ANYTHING],
  ['BlockAffinity', 'blockaffinities', ANYTHING],
];

/** For kubectl, as JSON. */
export function calicoDefinitions(group: CalicoGroup): string {
  const version = group === 'projectcalico.org' ? 'v3' : 'v1';
  return list(KINDS.map(([kind, plural, spec]) => definition(group, version, kind, plural, { spec })));
}

/** SecurityContextConstraints has its fields beside metadata; Installation has a spec. */
export function otherDefinitions(): string {
  return list([
    definition('security.openshift.io', 'v1', 'SecurityContextConstraints', 'securitycontextconstraints'),
    definition('operator.tigera.io', 'v1', 'Installation', 'installations', { spec: ANYTHING }),
  ]);
}

function definition(group: string, version: string, kind: string, plural: string, properties?: Schema): Schema {
  const schema = properties ? { type: 'object', properties } : ANYTHING;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  };
}

function list(items: readonly Schema[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
