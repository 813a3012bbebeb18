/**
 * Backends on the kernel's own WireGuard, inside QEMU: the contract, wgts compared with wg, and
 * which backend --backend chooses.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BACKEND_CHECKS } from '../contract/backend-checks.ts';
import type { Running } from '../netns/command.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { type BackendResult, OWN } from './backend-results.ts';
import { resultOf, startGuest } from './machine.ts';

const LIMIT_MS = 900_000;

describeWith(
  [...NETWORK, 'qemu-system-x86_64', 'busybox', 'modprobe', 'rmmod'],
  'backends and the kernel module',
  () => {
    let machine: Running;
    beforeAll(async () => {
      machine = await startGuest('backend-guest', LIMIT_MS);
    }, LIMIT_MS);
    afterAll(() => machine?.stop());

    for (const name of [...BACKEND_CHECKS.map(check => check.name), ...OWN])
      it(
        name,
        async () => {
          const { error, milliseconds } = await resultOf<BackendResult>(machine, name, LIMIT_MS);
          expect(error).toBeUndefined();
          if (milliseconds) console.log(JSON.stringify({ backend: 'kernel, emulated', milliseconds }));
        },
        LIMIT_MS,
      );
  },
);
