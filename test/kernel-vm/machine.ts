/**
 * Runs a program in the machine with the kernel module (scripts/kernel-vm.mjs): bundles it into one
 * file, starts it and reads its lines of JSON.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { type Running, start, until } from '../netns/command.ts';
import { ROOT } from '../netns/device.ts';
import { temporaryFolder } from '../support/built-once.ts';

const KERNEL_VM = join(ROOT, 'scripts/kernel-vm.mjs');

/**
 * Returns the folder of the unpacked kernel package, downloaded if necessary. The machine sees it
 * at the same path.
 */
export function kernelFolder(): string {
  return execFileSync(process.execPath, [KERNEL_VM, 'fetch'], { encoding: 'utf8' }).trim();
}

/**
 * @param guest file name in this folder, without .ts. @param limit milliseconds until the machine
 * is stopped
 */
export async function startGuest(
  guest: string,
  limit: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Running> {
  // A folder of this process alone, as deep as the sources, because they find the program and the
  // addon by relative paths.
  const outDir = temporaryFolder(guest);
  await build({
    root: ROOT,
    configFile: false,
    logLevel: 'error',
    build: { ssr: `test/kernel-vm/${guest}.ts`, outDir, emptyOutDir: false, minify: false, target: 'node20' },
  });
  kernelFolder();
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const program = ['env', ...settings, process.execPath, join(outDir, `${guest}.js`)];
  const machine = start([process.execPath, KERNEL_VM, 'run', ...program], {
    env: { KERNEL_VM_TIMEOUT: String(limit / 1000) },
  });
  void machine.exited.then(() => rmSync(outDir, { recursive: true, force: true }));
  return machine;
}

/**
 * Waits for the line with this name. Rejects with the machine's last output if it ends without one.
 */
export function resultOf<T extends { readonly name: string }>(
  machine: Running,
  name: string,
  limit: number,
): Promise<T> {
  const find = (): T | undefined =>
    machine
      .stdout()
      .split('\n')
      .filter(line => line.startsWith('{') && line.endsWith('}'))
      .map(line => JSON.parse(line) as T)
      .find(result => result.name === name);
  return until(
    name,
    () => {
      const ended = machine.result() !== undefined;
      const result = find();
      if (!result && ended) throw new Error(`the machine ended without this result:\n${machine.output().slice(-2000)}`);
      return result;
    },
    limit,
    200,
  );
}
