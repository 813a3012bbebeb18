/**
 * Tests that need something from the machine. On a user's machine the tests that lack it are
 * skipped, and the summary at the end of the run names it and how to get it. In CI (CI=true) they
 * fail.
 */
import { describe, it } from 'vitest';
import { type Group, groupOf, missingOf, type Need, remedyFor } from '../support/machine.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** What a skipped suite or test lacks. */
    readonly lacking?: { readonly group: Group; readonly missing: readonly Need[] };
  }
}

/** The needs of every test with namespaces and a tunnel. */
export const NETWORK: readonly Need[] = ['root', 'tun', 'namespaces', 'ip', 'sysctl', 'ping', 'wg'];

/** Like `describe`, but skips or fails when a need is missing. */
export function describeWith(needs: readonly Need[], name: string, body: () => void): void {
  const missing = missingOf(needs);
  if (missing.length === 0) describe(name, body);
  else if (process.env['CI'] === 'true')
    it(`${name}: needs what this machine lacks`, () => {
      throw new Error(`missing: ${missing.map(need => `${need} (${remedyFor(need)})`).join(', ')}`);
    });
  else describe(name, { skip: true, meta: { lacking: { group: groupOf(needs), missing } } }, body);
}

/** Like `it`, but skips or fails when a need is missing. */
export function testWith(needs: readonly Need[], name: string, body: () => unknown, limit?: number): void {
  const missing = process.env['CI'] === 'true' ? [] : missingOf(needs);
  const skipped = missing.length > 0 ? { skip: true, meta: { lacking: { group: groupOf(needs), missing } } } : {};
  it(name, { ...skipped, ...(limit === undefined ? {} : { timeout: limit }) }, async () => {
    await body();
  });
}
