// Kernel modules of an unpacked kernel package, in the order in which they are loaded.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Returns the folder of the modules of an unpacked kernel package. */
export function modulesFolder(kernel) {
  const [version] = readdirSync(join(kernel, 'lib/modules'));
  if (!existsSync(join(kernel, 'lib/modules', version, 'modules.dep'))) execFileSync('depmod', ['-b', kernel, version]);
  return join(kernel, 'lib/modules', version);
}

/**
 * Returns the paths of the wanted modules and their dependencies; each module follows its
 * dependencies. Built-in modules are omitted.
 */
export function modulesInOrder(folder, names) {
  const needs = new Map();
  const byName = new Map();
  for (const line of readFileSync(join(folder, 'modules.dep'), 'utf8').trim().split('\n')) {
    const [path, list] = line.split(':');
    needs.set(path, list.split(' ').filter(Boolean));
    byName.set(
      basename(path)
        .replace(/\.ko(\.xz)?$/, '')
        .replaceAll('-', '_'),
      path,
    );
  }
  const order = new Set();
  const add = path => {
    for (const need of needs.get(path) ?? []) if (!order.has(need)) add(need);
    order.add(path);
  };
  for (const name of names) if (byName.has(name)) add(byName.get(name));
  return [...order].map(path => join(folder, path));
}

/** Returns a module as the kernel loads it. */
export function readModule(path) {
  if (!path.endsWith('.xz')) return readFileSync(path);
  return execFileSync('xz', ['-dc', path], { maxBuffer: 1 << 28 });
}
