/**
 * Other kinds in the guide and the manifests: OpenShift's SecurityContextConstraints, and the
 * Tigera operator's Installation.
 */
import type { Manifest } from './control-plane.ts';

const ANYTHING = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

export const OTHER_CRDS: readonly Manifest[] = [
  definition('security.openshift.io', 'SecurityContextConstraints', 'securitycontextconstraints'),
  definition('operator.tigera.io', 'Installation', 'installations'),
];

function definition(group: string, kind: string, plural: string): Manifest {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: ANYTHING } }],
    },
  };
}
