/**
 * The direction of imports (docs/design.md#folders-and-who-may-import-whom), and what pure folders
 * may not use.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { importedPath, importsIn, withoutComments } from '../support/imports.ts';
import { MAY_IMPORT } from '../support/layers.ts';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

/** Imports that are narrower than a folder, by edge. */
const ONLY: Readonly<Record<string, RegExp>> = {
  'config > base': /./,
  'protocol > config': /^config\/model\.ts$/,
  'protocol > crypto': /^crypto\/(provider|packet-aead)\.ts$/,
  'netlink > config': /^config\/model\.ts$/,
  'io > netlink': /^netlink\/port\.ts$/,
  'io > protocol': /^protocol\/transport-cipher\.ts$/,
  'backend > io': /^io\/(netlink|zones|port-holder)\.ts$/,
  'backend > daemon': /^daemon\/(uapi-client|uapi-socket|interface-name)\.ts$/,
  'io > config': /^config\/zones\.ts$/,
  'calico/apply > quick': /^quick\/(ports|state)\.ts$/,
};
const PURE = projectFiles('pure');
const NODE = projectFiles('node');
const IMPURE =
  /\b(Date\.now|new Date\(|Math\.random|performance\.|process\.|setTimeout|setInterval|setImmediate|queueMicrotask|console\.|Buffer\.|fetch\()/;

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
const sources = new Map(files.map(name => [name, readFileSync(join(SRC, name), 'utf8')]));

describe('every file imports only in the allowed direction', () => {
  for (const [name, text] of sources) {
    const folder = folderOf(name);
    // The package's entry points may import everything.
    if (!name.includes('/') || folder === 'public') continue;
    test(name, () => {
      expect(Object.keys(MAY_IMPORT)).toContain(folder);
      for (const target of importsOf(name, text)) {
        if (!target.includes('/') || target.startsWith('node:') || target.startsWith('@')) continue;
        const other = folderOf(target);
        if (other === folder) continue;
        expect(MAY_IMPORT[folder], `${name} imports ${target}`).toContain(other);
        const only = ONLY[`${folder} > ${other}`];
        if (only) expect(target, `${name} may import of ${other} only ${only}`).toMatch(only);
      }
    });
  }
});

test('every file belongs to exactly one project of tsc: the pure one, or the one with Node types', () => {
  expect(files.filter(name => PURE(name) === NODE(name))).toEqual([]);
});

describe('a pure file uses no Node, no clock and no randomness', () => {
  for (const [name, text] of sources) {
    if (!PURE(name)) continue;
    test(name, () => {
      const node = importsOf(name, text).filter(target => target.startsWith('node:'));
      expect(node).toEqual([]);
      expect(withoutComments(text)).not.toMatch(IMPURE);
    });
  }
});

test('only io/ and crypto/node/native-* call the addon', () => {
  const outside = files.filter(
    name =>
      !/^(io\/|crypto\/node\/native-)/.test(name) &&
      /\b(netlink|tun|udp|poll|notices|cipher|aead|blake2s|x25519)[A-Z][A-Za-z]*\(/.test(
        nativeCalls(sources.get(name)!),
      ),
  );
  expect(outside).toEqual([]);
});

/** Returns the layer of a file: `src/calico` has several parts with different rights. */
function folderOf(name: string): string {
  const [first, second] = name.split('/') as [string, string];
  return first === 'calico' ? `${first}/${second}` : first;
}

/**
 * Returns whether a file of src belongs to a tsc project, whose tsconfig is the only list of its
 * files.
 */
function projectFiles(project: 'pure' | 'node'): (name: string) => boolean {
  const text = readFileSync(new URL(`../../tsconfig.${project}.json`, import.meta.url), 'utf8');
  const { include, exclude = [] } = JSON.parse(text) as { include: string[]; exclude?: string[] };
  const isIn = (list: readonly string[], name: string): boolean =>
    list.some(each => `src/${name}` === each || `src/${name}`.startsWith(`${each}/`));
  return name => isIn(include, name) && !isIn(exclude, name);
}

/** Returns the calls on a variable named binding. */
function nativeCalls(text: string): string {
  return [...withoutComments(text).matchAll(/\bbinding\.\w+\(/g)]
    .map(match => match[0].slice('binding.'.length))
    .join('\n');
}

function importsOf(name: string, text: string): string[] {
  return importsIn(text)
    .filter(({ isDynamic }) => !isDynamic)
    .map(({ specifier }) => importedPath(name, specifier));
}
