// Builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer, for
// scripts/test-sanitized.mjs. The build stays out of native/build, where every program looks for an
// addon: one with sanitizers cannot be loaded without their runtime.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { COMPILE_FLAGS, headers, LIBRARIES, LINK_FLAGS, NATIVE, sources, WARNINGS } from './recipe.mjs';

const SANITIZE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];
/** Makes signed overflow defined, so that UndefinedBehaviorSanitizer would not report it. */
const HIDES = '-fno-strict-overflow';
const compiler = process.env.CC || 'cc';

/**
 * Faults to plant in a copy of a C file: each one replaces the first text by the second. A run that
 * does not report them has no sanitizer.
 */
export const PLANTED = {
  overflow: {
    file: 'offload-node.c',
    replace: '(size_t)offset + (size_t)length > slab.length) return wg_number(env, 0);',
    by: '0) return wg_number(env, 0);',
  },
  undefined: {
    file: 'offload-node.c',
    replace: 'if (offset < 0 ||',
    by: 'stride += INT32_MAX;\n  if (offset < 0 ||',
  },
  leak: { file: 'netlink.c', replace: '  free(netlink);', by: '  (void)0;' },
};

/** Returns the path of the runtime that must be loaded before anything else, or undefined. */
export function sanitizerRuntime() {
  const { stdout } = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = stdout?.trim();
  return path?.includes('/') ? path : undefined;
}

/**
 * Builds into a folder and returns the path of the addon. `planted` is a name in PLANTED; the
 * objects of the other files are taken from an earlier build in the same folder.
 * @throws Error if the compiler fails, or if there is nothing to replace
 */
export async function buildSanitized(folder, planted) {
  mkdirSync(folder, { recursive: true });
  const units = sources().filter(name => name.endsWith('.c'));
  const object = name => join(folder, `${name}.o`);
  const changed = planted === undefined ? undefined : PLANTED[planted];
  const waiting = changed === undefined ? units.map(name => [join(NATIVE, name), object(name)]) : [];
  const own = join(folder, `${planted}.c`);
  if (changed !== undefined) {
    const text = readFileSync(join(NATIVE, changed.file), 'utf8');
    if (!text.includes(changed.replace))
      throw new Error(`${changed.file} has no longer the text that ${planted} replaces`);
    writeFileSync(own, text.replace(changed.replace, changed.by));
    waiting.push([own, `${own}.o`]);
  }
  const flags = [...COMPILE_FLAGS.filter(flag => flag !== HIDES && !flag.startsWith('-O')), '-O1', '-g', ...SANITIZE];
  await Promise.all(
    Array.from({ length: os.availableParallelism() }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [from, to] = next;
        await run([...flags, ...WARNINGS, `-I${headers()}`, `-I${NATIVE}`, '-c', from, '-o', to]);
      }
    }),
  );
  const objects = units.map(name => (name === changed?.file ? `${own}.o` : object(name)));
  const addon = join(folder, `${planted ?? 'wireguard'}.node`);
  await run([...LINK_FLAGS, ...SANITIZE, '-o', addon, ...objects, ...LIBRARIES]);
  return addon;
}

function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(compiler, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', code => (code === 0 ? resolve() : reject(new Error(`${compiler} ${args.join(' ')} failed`))));
  });
}
