/**
 * `wgts up` and `down` with the kernel's WireGuard, inside QEMU, compared with wg-quick and with
 * userspace.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Running } from '../netns/command.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { resultOf, startGuest } from './machine.ts';
import { QUICK_CHECKS, type QuickResult } from './quick-results.ts';

const LIMIT_MS = 900_000;

describeWith([...NETWORK, 'wg-quick', 'qemu-system-x86_64', 'busybox', 'modprobe'], 'wgts up with the kernel', () => {
  let machine: Running;
  beforeAll(async () => {
    machine = await startGuest('quick-guest', LIMIT_MS);
  }, LIMIT_MS);
  afterAll(() => machine?.stop());

  for (const name of Object.values(QUICK_CHECKS))
    it(
      name,
      async () => expect((await resultOf<QuickResult>(machine, name, LIMIT_MS)).error).toBeUndefined(),
      LIMIT_MS,
    );
});
