/**
 * Tests that need something from the machine. On a user's machine those that lack something are skipped, and the summary that ends
 * the run says what and how to get it; in CI (CI=true) they fail.
 */
import { describe, it } from 'vitest';
import { type Group, groupOf, missingOf, type Need, remedyFor } from '../support/machine.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** Of a suite or test that is skipped for want of something. */
    readonly lacking?: { readonly group: Group; readonly missing: readonly Need[] };
  }
}

/** What every test with namespaces and a tunnel needs. */
export const NETWORK: readonly Need[] = ['root', 'tun', 'namespaces', 'ip', 'sysctl', 'ping', 'wg'];

/** `describe`, skipped or failing when something is missing. */
export function describeWith(needs: readonly Need[], name: string, body: () => void): void {
  const missing = missingOf(needs);
  if (missing.length === 0) describe(name, body);
  else if (process.env['CI'] === 'true')
    it(`${name}: needs what this machine lacks`, () => {
      throw new Error(`missing: ${missing.map(need => `${need} (${remedyFor(need)})`).join(', ')}`);
    });
  else describe(name, { skip: true, meta: { lacking: { group: groupOf(needs), missing } } }, body);
}

/** The same for one test. */
export function testWith(needs: readonly Need[], name: string, body: () => unknown, limit?: number): void {
  const missing = process.env['CI'] === 'true' ? [] : missingOf(needs);
  const skipped = missing.length > 0 ? { skip: true, meta: { lacking: { group: groupOf(needs), missing } } } : {};
  it(name, { ...skipped, ...(limit === undefined ? {} : { timeout: limit }) }, async () => {
    await body();
  });
}
