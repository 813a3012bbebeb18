/**
 * This program against the kernel's own WireGuard module, inside QEMU: both ends in namespaces of
 * one machine with a Debian kernel (scripts/kernel-vm.mjs). The machine boots once, and the guest
 * prints a line per cell.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Running } from '../netns/command.ts';
import { PROGRAM } from '../netns/device.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { CELLS, type CellResult, HAND_OVER, type HandOverResult } from './cells.ts';
import { resultOf, startGuest } from './machine.ts';

const BOOT_AND_ALL_CELLS_MS = 900_000;

describeWith([...NETWORK, 'qemu-system-x86_64', 'busybox', 'modprobe'], `kernel module (${PROGRAM})`, () => {
  let machine: Running;
  beforeAll(async () => {
    machine = await startGuest('guest', BOOT_AND_ALL_CELLS_MS, {
      WG_TEST_PROGRAM: PROGRAM,
      WG_KERNEL_CELLS: process.env['WG_KERNEL_CELLS'] ?? '',
    });
  });
  afterAll(() => machine?.stop());

  for (const cell of CELLS) {
    it(
      `${cell.name}: ping both ways, IPv4 and IPv6 inside, and ${cell.bytes / 1e6} MB of TCP`,
      async () => {
        const result = await resultOf<CellResult>(machine, cell.name, BOOT_AND_ALL_CELLS_MS);
        expect(result.error).toBeUndefined();
        expect(result.megabitsPerSecond).toBeGreaterThan(0);
      },
      BOOT_AND_ALL_CELLS_MS,
    );
  }

  it(
    `${HAND_OVER.name}: ${HAND_OVER.count} under ${HAND_OVER.rate} datagrams a second, none lost or doubled`,
    async () => {
      const result = await resultOf<HandOverResult>(machine, HAND_OVER.name, BOOT_AND_ALL_CELLS_MS);
      console.log(JSON.stringify(result));
      expect(result).toMatchObject({ received: result.sent, doubled: 0, isSessionKept: true });
      expect(result.sent).toBeGreaterThan(HAND_OVER.rate);
    },
    BOOT_AND_ALL_CELLS_MS,
  );
});
