/**
 * Objects of a cluster as the API server sends and takes them, for code that installs objects
 * instead of interpreting them. Server answers are untrusted, so readers check each field.
 */

export type Fields = Readonly<Record<string, unknown>>;

export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** Returns the object's own field; undefined for a field that is inherited or absent. */
export function field(object: unknown, ...path: readonly (string | number)[]): unknown {
  let value = object;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string | number, unknown>)[name];
  }
  return value;
}

export function textField(object: unknown, ...path: readonly (string | number)[]): string | undefined {
  const value = field(object, ...path);
  return typeof value === 'string' ? value : undefined;
}

export function listField(object: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const value = field(object, ...path);
  return Array.isArray(value) ? value : [];
}

/** Returns whether the value is an object with named fields. */
export function hasFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value if it has what every object of Kubernetes has. */
export function asResource(value: unknown): Resource | undefined {
  const isOne = ['apiVersion', 'kind'].every(name => textField(value, name) !== undefined);
  return isOne && textField(value, 'metadata', 'name') !== undefined ? (value as Resource) : undefined;
}

/** Returns a copy that shares nothing with the value. */
export function copyOf<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyOf) as T;
  if (!hasFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copyOf(each)])) as T;
}

/** Returns the name for people, such as `DaemonSet kube-system/wireguard-ts`. */
export function nameOf({ kind, metadata: { name, namespace } }: Pick<Resource, 'kind' | 'metadata'>): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
