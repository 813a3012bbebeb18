/** Arrays of bytes. */

/**
 * Returns whether two arrays hold the same bytes. The time depends on the lengths alone, not on where the
 * bytes differ, so that secrets may be compared.
 */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let bits = 0;
  for (let i = 0; i < a.length; i++) bits |= a[i]! ^ b[i]!;
  return bits === 0;
}
