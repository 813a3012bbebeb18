/**
 * Counters of several parts in one record: the name of the part, a dot, the name of the counter.
 */

type Counts = Readonly<Record<string, number>>;

/** Returns the counters with the name of their part. */
export function prefixed(part: string, counters: Counts): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [`${part}.${name}`, value]));
}

/** Returns the counters of one part, without its name. */
export function unprefixed(part: string, counters: Counts): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counters).flatMap(([name, value]) =>
      name.startsWith(`${part}.`) ? [[name.slice(part.length + 1), value]] : [],
    ),
  );
}

/** Returns the sums by name. */
export function sumOf(a: Counts, b: Counts): Record<string, number> {
  const sum = { ...a };
  for (const [name, value] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + value;
  return sum;
}
