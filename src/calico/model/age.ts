/**
 * The order of objects by age. No Node can change its own age, so age decides where nothing better
 * is known.
 */

/** An object of the cluster, with the time at which the server created it: RFC 3339. */
export interface Aged {
  readonly name: string;
  readonly creationTimestamp?: string | undefined;
}

/** Returns a text that sorts objects by age, then by name. Objects of unknown age come first. */
export function ageKey({ creationTimestamp = '', name }: Aged): string {
  return `${creationTimestamp} ${name}`;
}

export function oldestFirst<T extends Aged>(objects: Iterable<T>): readonly T[] {
  return [...objects]
    .map(object => [ageKey(object), object] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, object]) => object);
}
