/**
 * The kernel's own `wireguard` family through our netlink, inside QEMU, compared with `wg` and
 * `ip`.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Running } from '../netns/command.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { resultOf, startGuest } from './machine.ts';
import { CHECKS } from './wireguard-checks.ts';
import { BIG, type CheckResult, NETWORK_CHECK } from './wireguard-results.ts';

const LIMIT_MS = 900_000;

describeWith([...NETWORK, 'qemu-system-x86_64', 'busybox', 'modprobe'], 'the wireguard family of the kernel', () => {
  let machine: Running;
  beforeAll(async () => {
    machine = await startGuest('wireguard-guest', LIMIT_MS);
  }, LIMIT_MS);
  afterAll(() => machine?.stop());

  for (const name of [...CHECKS.map(check => check.name), BIG, NETWORK_CHECK])
    it(
      name,
      async () => {
        const result = await resultOf<CheckResult>(machine, name, LIMIT_MS);
        expect(result.error).toBeUndefined();
        if (result.setMilliseconds !== undefined) console.log(JSON.stringify(result));
      },
      LIMIT_MS,
    );
});
