/** Asks the API server whether this user may install these objects. */
import { field, nameOf, type Resource } from '../../model/resource.ts';
import type { ClusterApi } from './api.ts';
import type { Finding } from './checks.ts';
import { resourceOf } from './kinds.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

/**
 * Returns a finding if the user lacks permissions.
 * @param verbs what will be done to each object
 */
export async function checkPermissions(
  api: ClusterApi,
  objects: readonly Resource[],
  verbs: readonly string[],
): Promise<readonly Finding[]> {
  const denied: string[] = [];
  const asked = new Map<string, boolean>();
  for (const object of objects) {
    const { namespace, name } = object.metadata;
    const { group, resource } = resourceOf(object);
    for (const verb of verbs) {
      // One name stands for all of its kind: permissions by name are rare.
      const key = [verb, group, resource, namespace].join();
      if (asked.has(key)) continue;
      const attributes = { verb, group, resource, name, ...(namespace !== undefined && { namespace }) };
      const isAllowed = await ask(api, attributes);
      asked.set(key, isAllowed);
      if (!isAllowed) denied.push(`${verb} ${nameOf(object)}`);
    }
  }
  if (denied.length === 0) return [];
  return [
    {
      severity: 'error',
      message: `this user may not: ${denied.join(', ')}`,
      fix: 'use a kubeconfig of an administrator (--kubeconfig FILE)',
    },
  ];
}

async function ask(api: ClusterApi, resourceAttributes: object): Promise<boolean> {
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  };
  return field(await api.send({ method: 'POST', path: REVIEWS, body }), 'status', 'allowed') === true;
}
