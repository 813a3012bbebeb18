/**
 * This program against the kernel's own WireGuard module, inside QEMU: both ends in namespaces of one machine with a Debian
 * kernel (scripts/kernel-vm.mjs). The machine boots once; the guest prints a line for each cell.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Running, start, until } from '../netns/command.ts';
import { PROGRAM, ROOT } from '../netns/device.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { CELLS, type CellResult } from './cells.ts';

const KERNEL_VM = join(ROOT, 'scripts/kernel-vm.mjs');
const BOOT_AND_ALL_CELLS = 480_000;

describeWith([...NETWORK, 'qemu-system-x86_64', 'busybox', 'modprobe'], `kernel module (${PROGRAM})`, () => {
  let machine: Running;
  beforeAll(async () => {
    const outDir = join(ROOT, 'dist/kernel-vm');
    await build({
      root: ROOT,
      configFile: false,
      logLevel: 'error',
      build: { ssr: 'test/kernel-vm/guest.ts', outDir, emptyOutDir: true, minify: false, target: 'node20' },
    });
    execFileSync(process.execPath, [KERNEL_VM, 'fetch']);
    machine = start(
      [
        process.execPath,
        KERNEL_VM,
        'run',
        'env',
        `WG_TEST_PROGRAM=${PROGRAM}`,
        process.execPath,
        join(outDir, 'guest.js'),
      ],
      {
        env: { KERNEL_VM_TIMEOUT: String(BOOT_AND_ALL_CELLS / 1000) },
      },
    );
  }, 120_000);
  afterAll(() => machine?.stop());

  for (const cell of CELLS) {
    it(
      `${cell.name}: ping both ways, IPv4 and IPv6 inside, and ${cell.bytes / 1e6} MB of TCP`,
      async () => {
        const result = await until(
          'the cell',
          () =>
            resultOf(cell.name) ??
            (machine.result() && { name: cell.name, seconds: 0, error: machine.output().slice(-2000) }),
          BOOT_AND_ALL_CELLS,
          200,
        );
        expect(result.error).toBeUndefined();
        expect(result.megabitsPerSecond).toBeGreaterThan(0);
      },
      BOOT_AND_ALL_CELLS,
    );
  }

  function resultOf(name: string): CellResult | undefined {
    const lines = machine
      .stdout()
      .split('\n')
      .filter(line => line.startsWith('{') && line.endsWith('}'));
    return lines.map(line => JSON.parse(line) as CellResult).find(result => result.name === name);
  }
});
