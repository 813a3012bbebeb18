/**
 * The Calico agent with a kernel that has WireGuard or gains it, inside QEMU: beside a Felix node,
 * in Felix's place, and handing over to Felix.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Running } from '../netns/command.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { CALICO_CHECKS, type CalicoResult } from './calico-results.ts';
import { kernelFolder, resultOf, startGuest } from './machine.ts';

const LIMIT_MS = 900_000;

describeWith(
  [...NETWORK, 'wg', 'nft', 'qemu-system-x86_64', 'busybox', 'modprobe'],
  'wgts calico with the kernel',
  () => {
    let machine: Running;
    beforeAll(async () => {
      machine = await startGuest('calico-guest', LIMIT_MS, { WIREGUARD_MODULE: wireguardModule() });
    }, LIMIT_MS);
    afterAll(() => machine?.stop());

    for (const name of Object.values(CALICO_CHECKS))
      it(
        name,
        async () => expect((await resultOf<CalicoResult>(machine, name, LIMIT_MS)).error).toBeUndefined(),
        LIMIT_MS,
      );
  },
);

/** Returns the path of the module's file. */
function wireguardModule(): string {
  const modules = join(kernelFolder(), 'lib/modules');
  const found = readdirSync(modules, { recursive: true, encoding: 'utf8' }).find(file =>
    /net\/wireguard\/wireguard\.ko/.test(file),
  );
  if (found === undefined) throw new Error(`no wireguard.ko below ${modules}`);
  return join(modules, found);
}
