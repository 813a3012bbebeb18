/**
 * The public surface: every export and member has a doc comment, and pure subpaths need neither
 * Node nor the addon.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../support/guide.ts';
import { importedPath, importsIn } from '../support/imports.ts';

const SRC = join(REPOSITORY, 'src');
const MAKE_PAGES = join(REPOSITORY, 'api-pages/make.mjs');
/** Entry points by the subpath that users import. */
const ENTRIES = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')).exports as Record<
  string,
  { readonly types: string; readonly default: string }
>;
const PURE = ['engine', 'config', 'calico-plan'];
/**
 * Packages that a pure entry point may load. The last test shows that they import no module of Node
 * either.
 */
const PACKAGES = /^(@noble\/(ciphers|curves|hashes)\/|@scure\/base$|re2js$)/;

const folder = mkdtempSync(join(tmpdir(), 'wgts-surface-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('doc comments', () => {
  test('every export of the package and every public member has one', () => {
    const { status, stdout, stderr } = node([MAKE_PAGES, '--check']);
    expect(stderr + stdout).toBe('');
    expect(status).toBe(0);
  });

  test('detects a missing one on a function, a class, a member and an option', () => {
    const entry = join(folder, 'bare.ts');
    const tsconfig = join(folder, 'tsconfig.json');
    const bare = `export function bareFunction(): void {}
export class BareClass { bareMember = 1; constructor(readonly bareParameter: string) {} bareMethod(): void {} }
export interface BareOptions { bareOption?: number }
/** Documented. */
export const documented = 1;
`;
    writeFileSync(entry, bare);
    writeFileSync(tsconfig, JSON.stringify({ compilerOptions: { types: [] }, files: ['bare.ts'] }));
    const { status, stderr } = node([MAKE_PAGES, '--check', '--tsconfig', tsconfig, entry]);
    const names = [...stderr.matchAll(/([\w.]+) \(\w+\), defined in .*, does not have any documentation/g)];
    expect(names.map(([, name]) => name).sort()).toEqual([
      'BareClass',
      'BareClass.bareMember',
      'BareClass.bareMethod',
      'BareClass.bareParameter',
      'BareClass.constructor',
      'BareOptions',
      'BareOptions.bareOption',
      'bareFunction',
    ]);
    expect(status).toBe(1);
  });
});

test('each subpath has its own source, which starts with a module comment', () => {
  expect(Object.keys(ENTRIES)).toEqual(['.', './engine', './config', './device', './calico-plan']);
  for (const [subpath, { types, default: code }] of Object.entries(ENTRIES)) {
    const source = code.replace('./dist/', '').replace(/\.js$/, '.ts');
    expect(types).toBe(code.replace(/\.js$/, '.d.ts'));
    const name = subpath.replace('.', 'wireguard-ts');
    expect(readFileSync(join(SRC, source), 'utf8')).toMatch(new RegExp(`^/\\*\\*\n[^]*? \\* @module ${name}\n \\*/\n`));
  }
});

describe.each(PURE)('wireguard-ts/%s', name => {
  test('imports no module of Node, and only pure packages', () => {
    const imported = [...graphOf(`public/${name}.ts`)];
    expect(imported.length).toBeGreaterThan(10);
    const foreign = imported.filter(target => !target.endsWith('.ts') && !PACKAGES.test(target));
    expect(foreign).toEqual([]);
  });

  test('loads in a process that refuses modules of Node and addons', () => {
    const { stdout, stderr } = node(['--import', refusing(), '--eval', count(name)]);
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeGreaterThan(1);
  });
});

test('that process really refuses them', () => {
  expect(node(['--import', refusing(), '--eval', count('device')]).stderr).toMatch(/refused: node:/);
  const addon = `process.dlopen({ exports: {} }, 'x.node')`;
  expect(node(['--import', refusing(), '--eval', addon]).stderr).toMatch(/refused: process.dlopen/);
});

/** Returns a program that prints how many values a subpath exports. */
function count(name: string): string {
  return `import('wireguard-ts/${name}').then(entry => console.log(Object.keys(entry).length))`;
}

/** Returns a module that then refuses every module of Node and every addon. */
function refusing(): string {
  const refuse = `if (url.startsWith('node:')) throw new Error('refused: ' + url + ' for ' + parentURL);`;
  // Node 26 warns of register(), which alone Node 20 has
  const hooks = `export async function resolve(specifier, context, next) {
  const { url, ...rest } = await next(specifier, context);
  const { parentURL } = context;
  ${refuse}
  return { url, ...rest };
}`;
  const setUp = `import module from 'node:module';
const resolve = (specifier, context, next) => {
  const resolved = next(specifier, context);
  const { url } = resolved;
  const { parentURL } = context;
  ${refuse}
  return resolved;
};
if (module.registerHooks) module.registerHooks({ resolve });
else module.register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)});
process.dlopen = () => { throw new Error('refused: process.dlopen'); };`;
  return `data:text/javascript,${encodeURIComponent(setUp)}`;
}

/**
 * Returns every file of ours that a file loads, and every other module, by name. Type imports load
 * nothing.
 */
function graphOf(entry: string): Set<string> {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const { specifier, isType } of importsIn(readFileSync(join(SRC, file), 'utf8'))) {
      if (isType) continue;
      if (specifier.startsWith('.')) visit(importedPath(file, specifier));
      else found.add(isBuiltin(specifier) ? `node:${specifier.replace('node:', '')}` : specifier);
    }
  };
  visit(entry);
  return found;
}

function node(args: readonly string[]) {
  return spawnSync(process.execPath, args, { cwd: REPOSITORY, encoding: 'utf8' });
}
