/** The kinds that deploy/ installs: where the API server has them, and in which order. */
import type { Resource } from '../../model/resource.ts';

interface KindPlace {
  readonly apiVersion: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

const RBAC = 'rbac.authorization.k8s.io/v1';
const ADMISSION = 'admissionregistration.k8s.io/v1';

/** In the order of installation: pods come last, because they need all others. */
const KINDS: Readonly<Record<string, KindPlace>> = {
  ServiceAccount: { apiVersion: 'v1', plural: 'serviceaccounts', isNamespaced: true },
  ClusterRole: { apiVersion: RBAC, plural: 'clusterroles', isNamespaced: false },
  ClusterRoleBinding: { apiVersion: RBAC, plural: 'clusterrolebindings', isNamespaced: false },
  Role: { apiVersion: RBAC, plural: 'roles', isNamespaced: true },
  RoleBinding: { apiVersion: RBAC, plural: 'rolebindings', isNamespaced: true },
  SecurityContextConstraints: {
    apiVersion: 'security.openshift.io/v1',
    plural: 'securitycontextconstraints',
    isNamespaced: false,
  },
  ValidatingAdmissionPolicy: {
    apiVersion: ADMISSION,
    plural: 'validatingadmissionpolicies',
    isNamespaced: false,
  },
  ValidatingAdmissionPolicyBinding: {
    apiVersion: ADMISSION,
    plural: 'validatingadmissionpolicybindings',
    isNamespaced: false,
  },
  DaemonSet: { apiVersion: 'apps/v1', plural: 'daemonsets', isNamespaced: true },
};
const ORDER = Object.keys(KINDS);

/** Returns the path of an object. @throws Error for an object of another kind */
export function pathOf({ apiVersion, kind, metadata: { name, namespace } }: Resource): string {
  const { plural } = placeOf({ apiVersion, kind });
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${base}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}/${name}`;
}

/** Returns the API group and the plural, as permissions name them. */
export function resourceOf(object: Pick<Resource, 'apiVersion' | 'kind'>): { group: string; resource: string } {
  const [group] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : [''];
  return { group: group!, resource: placeOf(object).plural };
}

/** Sorts objects in the order of installation, and by name. */
export function inOrder(objects: readonly Resource[]): Resource[] {
  const rank = ({ kind, metadata: { namespace = '', name } }: Resource): string =>
    `${String(ORDER.indexOf(kind)).padStart(2, '0')} ${namespace}/${name}`;
  return [...objects].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** Checks that a namespaced object has a namespace, and others have none. @throws Error if not */
export function checkNamespace(object: Resource): void {
  const { isNamespaced } = placeOf(object);
  const { name, namespace } = object.metadata;
  if (isNamespaced !== (namespace !== undefined))
    throw new Error(`${object.kind} ${name} ${isNamespaced ? 'needs a' : 'may have no'} namespace`);
}

function placeOf({ apiVersion, kind }: Pick<Resource, 'apiVersion' | 'kind'>): KindPlace {
  const place = Object.hasOwn(KINDS, kind) ? KINDS[kind]! : undefined;
  if (place?.apiVersion === apiVersion) return place;
  throw new Error(`objects of ${apiVersion} ${kind} cannot be installed`);
}
