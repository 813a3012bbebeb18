/**
 * No file imports itself through others, not even by types, except the pairs listed here with their
 * reasons.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { importedPath, importsIn, withoutComments } from '../support/imports.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['src', 'bench', 'scripts', 'test/support', 'test/sim'];
/** Type imports that may close a circle: the importing file, the imported one, and the reason. */
const EXPLAINED: readonly { readonly from: string; readonly to: string; readonly reason: string }[] = [
  {
    from: 'test/sim/sim-node.ts',
    to: 'test/sim/simulation.ts',
    reason: 'a node sends into the simulated network, and the network delivers to its nodes',
  },
];

const files = FOLDERS.flatMap(folder =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => /\.(ts|mjs)$/.test(name))
    .map(name => `${folder}/${name}`),
);
const sources = new Map(files.map(name => [name, withoutComments(readFileSync(join(ROOT, name), 'utf8'))]));

test('no file imports itself through others', () => {
  expect(circles((from, to) => EXPLAINED.some(each => each.from === from && each.to === to))).toEqual([]);
});

test('each exception is a type import, and closes a circle', () => {
  for (const { from, to } of EXPLAINED) {
    const target = `./${to.slice(dirname(from).length + 1)}`;
    expect(sources.get(from)).toMatch(
      new RegExp(`^import type \\{[^}]*\\} from '${target.replaceAll('.', '\\.')}';$`, 'm'),
    );
    const others = EXPLAINED.filter(each => each.from !== from || each.to !== to);
    expect(circles((a, b) => others.some(each => each.from === a && each.to === b))).not.toEqual([]);
  }
});

test('in native only module.c names the exports of other files', () => {
  for (const name of readdirSync(join(ROOT, 'native')).filter(file => file.endsWith('.c') && file !== 'module.c')) {
    const text = withoutComments(readFileSync(join(ROOT, 'native', name), 'utf8'));
    expect(new Set(text.match(/\bwg_exports_\w+/g)).size, name).toBeLessThanOrEqual(1);
    expect(text, name).not.toMatch(/#include "[^"]*\.c"/);
  }
});

/**
 * Returns the first circle through each file, as paths of names; `skips` names imports that do not
 * count.
 */
function circles(skips: (from: string, to: string) => boolean): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) found.push([...path.slice(path.indexOf(name)), name].join(' > '));
    if (path.includes(name) || done.has(name)) return;
    for (const target of importsOf(name)) if (!skips(name, target)) visit(target, [...path, name]);
    done.add(name);
  };
  for (const name of files) visit(name, []);
  return found;
}

function importsOf(name: string): string[] {
  return importsIn(sources.get(name)!)
    .map(({ specifier }) => importedPath(name, specifier))
    .filter(path => sources.has(path));
}
