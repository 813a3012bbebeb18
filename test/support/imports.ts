/** Finds the imports of a source file in its text, for the tests of its structure. */
import { dirname, join, normalize } from 'node:path';

export interface Import {
  /** As written: `./engine.ts`, `node:fs`, a package. */
  readonly specifier: string;
  /** `import type` or `export type`: it loads nothing. */
  readonly isType: boolean;
  /** `import('...')`. */
  readonly isDynamic: boolean;
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s+)?[^'";]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;

/** Returns the imports of a file, in order. @param text its source, with comments */
export function importsIn(text: string): Import[] {
  return [...withoutComments(text).matchAll(IMPORT)].map(([, type, from, bare, dynamic]) => ({
    specifier: (from ?? bare ?? dynamic)!,
    isType: type !== undefined,
    isDynamic: dynamic !== undefined,
  }));
}

/** Returns the path of an imported file of ours, or the specifier of another module. */
export function importedPath(importer: string, specifier: string): string {
  return specifier.startsWith('.') ? normalize(join(dirname(importer), specifier)) : specifier;
}

/** Returns the source without comments, as far as text alone tells them apart. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1');
}
