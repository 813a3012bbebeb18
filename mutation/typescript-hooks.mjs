// Loader hooks: Node runs the sandbox's TypeScript, and `vitest` is the harness of this folder.
import { readFileSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'rolldown/utils';

const HARNESS = new URL('harness.mjs', import.meta.url).href;

/** From here on, `import()` in this process reads TypeScript. */
export function importTypeScript() {
  // Node 20 has register() alone, of which Node 26 warns.
  if (module.registerHooks) module.registerHooks({ resolve, load });
  else module.register(import.meta.url);
}

/** A file that another one imports has the importer's generation. */
export function resolve(specifier, context, next) {
  if (specifier === 'vitest') return { url: HARNESS, shortCircuit: true };
  const query = context.parentURL && new URL(context.parentURL).search;
  const withQuery = found => (query && found.url.endsWith('.ts') ? { ...found, url: found.url + query } : found);
  const found = next(specifier, context);
  return found instanceof Promise ? found.then(withQuery) : withQuery(found);
}

export function load(url, context, next) {
  if (!new URL(url).pathname.endsWith('.ts')) return next(url, context);
  const path = fileURLToPath(url);
  const { code, errors } = transformSync(path, readFileSync(path, 'utf8'), { lang: 'ts' });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  return { format: 'module', source: code, shortCircuit: true };
}
