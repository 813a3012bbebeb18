/**
 * Notices of the kernel are read in bounded numbers, even while more arrive. Unread ones wake the
 * loop again.
 */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { NOTICE_ROUTES, nativeBinding } from '../../src/io/native-binding.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';

/** More than one call reads, and more than the socket's queue holds. */
const CHANGES = 512;

inOwnNamespace(import.meta.url, [], () => {
  test('a flood of changes is read in several calls, until none are left', () => {
    const binding = nativeBinding();
    const notices = binding.noticesOpen(NOTICE_ROUTES);
    expect(binding.noticesDrain(notices)).toBe(0);
    const lines = Array.from({ length: CHANGES }, (_, i) => `addr add 10.9.${i >> 8}.${i & 255}/32 dev lo`);
    execFileSync('ip', ['-batch', '-'], { input: `link set lo up\n${lines.join('\n')}\n` });
    let calls = 0;
    while (binding.noticesDrain(notices) !== 0) calls++;
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(CHANGES);
    expect(binding.noticesDrain(notices)).toBe(0);
    binding.noticesClose(notices);
    expect(binding.noticesDrain(notices)).toBe(0);
  });
});
