// Loader hooks: Node runs the sandbox's TypeScript, and `vitest` is the harness of this folder.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'rolldown/utils';

const HARNESS = new URL('harness.mjs', import.meta.url).href;

/** A file that another one imports has the importer's generation. */
export async function resolve(specifier, context, next) {
  if (specifier === 'vitest') return { url: HARNESS, shortCircuit: true };
  const found = await next(specifier, context);
  const query = context.parentURL && new URL(context.parentURL).search;
  return query && found.url.endsWith('.ts') ? { ...found, url: found.url + query } : found;
}

export async function load(url, context, next) {
  if (!new URL(url).pathname.endsWith('.ts')) return next(url, context);
  const path = fileURLToPath(url);
  const { code, errors } = transformSync(path, await readFile(path, 'utf8'), { lang: 'ts' });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  return { format: 'module', source: code, shortCircuit: true };
}
