/**
 * Facts in the documents that would go stale: paths, versions, contents, and which folder may
 * import which.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { page, REPOSITORY } from '../support/guide.ts';
import { MAY_IMPORT } from '../support/layers.ts';

const MAP = 'docs/design.md';
const MAP_LINES = 150;
const INDEX = 'docs/where-to-look.md';
const FOLDERS = [
  'src',
  'native',
  'test',
  'bench',
  'scripts',
  'deploy',
  'docs',
  'packaging',
  'systemd',
  'vectors',
  'bin',
  'mutation',
];
const CODE_FILE = /\.(ts|mjs|cjs|mts|c|h)$/;

const files = FOLDERS.flatMap(folder =>
  readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' }).map(name => `${folder}/${name}`),
);
const present = new Set([...FOLDERS, ...files]);
const documents = [
  ...files.filter(name => /^docs\/[^/]+\.md$/.test(name)),
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench/README.md',
];
/** Pages of the design. Each one lists its sections. */
const design = documents.filter(name => !/benchmarks/.test(name) && name !== 'SECURITY.md');

const manifest = JSON.parse(read('package.json')) as {
  version: string;
  engines: { node: string };
  scripts: Record<string, string>;
};

test(`the map has at most ${MAP_LINES} lines`, () => {
  expect(read(MAP).trimEnd().split('\n').length).toBeLessThanOrEqual(MAP_LINES);
});

test('the map lists what every folder may import, like the test of layers', () => {
  const [, table = ''] = /<!-- layers -->\n([\s\S]*?)\n<!-- \/layers -->/.exec(read(MAP)) ?? [];
  const rows = [...table.matchAll(/^\| `([\w/]+)` \| (.+) \| (.+) \|$/gm)];
  expect(rows.map(([, folder]) => folder)).toEqual(Object.keys(MAY_IMPORT));
  for (const [, folder, , cell] of rows) expect(cell, folder).toBe(importsCell(folder!));
});

test('the map names the pure folders, like the project that compiles them', () => {
  const { include } = JSON.parse(read('tsconfig.pure.json')) as { include: string[] };
  const folders = include.filter(name => !name.startsWith('src/public/')).map(name => name.slice('src/'.length));
  const [, named = ''] = /^- \*\*Pure folders: ([^*]+)\*\*/m.exec(read(MAP)) ?? [];
  expect([...named.matchAll(/`([\w/]+)`/g)].map(([, folder]) => folder)).toEqual(folders);
});

test('the map links every page beside it', () => {
  const pages = documents.filter(name => name.startsWith('docs/') && name !== MAP);
  expect(pages.length).toBeGreaterThan(5);
  expect(
    pages.filter(name => !page(MAP).links.some(link => link.split('#')[0] === name.slice('docs/'.length))),
  ).toEqual([]);
});

describe('the index of behaviors', () => {
  const rows = [...read(INDEX).matchAll(/^\| (?!Question|-)(.+) \| `([^`]+)` \| (.+) \|$/gm)].map(
    ([, question, path, where]) => ({ question: question!, path: path!, where: where! }),
  );

  test('has one row per question', () => {
    expect(rows.length).toBeGreaterThanOrEqual(100);
    expect(new Set(rows.map(({ question }) => question)).size).toBe(rows.length);
    expect(read(INDEX).match(/^\| (?!Question)/gm)).toHaveLength(rows.length);
  });

  test('names files that exist, and what is in them', () => {
    const missing = rows.flatMap(({ path, where }) => {
      if (!present.has(path)) return [path];
      const text = read(path);
      const names = [...where.matchAll(/`([^`/]+)`/g)].map(([, name]) => name!);
      return names.filter(name => !hasWord(text, name)).map(name => `${path}: ${name}`);
    });
    expect(missing).toEqual([]);
  });
});

describe.each(documents)('%s', name => {
  test('names only paths that exist', () => {
    expect(missingPaths(read(name))).toEqual([]);
  });

  test('names only scripts of package.json', () => {
    const named = [...read(name).matchAll(/\bnpm run ([\w:-]*\w)/g)].map(([, script]) => script!);
    expect(named.filter(script => manifest.scripts[script] === undefined)).toEqual([]);
  });
});

describe.each(design)('%s', name => {
  test('begins with a list of its sections', () => {
    const prose = read(name).replace(/^```[\s\S]*?^```$/gm, '');
    const sections = [...prose.matchAll(/^## (.+)$/gm)].map(([, title]) => title);
    const listed = [...prose.matchAll(/^- \[(.+?)\]\(#.+\)$/gm)].map(([, title]) => title);
    expect(listed).toEqual(sections);
  });
});

describe('versions', () => {
  const [major, minor] = manifest.version.split('.');

  test('the lock, the newest changelog entry and the security policy have the version of package.json', () => {
    const lock = JSON.parse(read('package-lock.json')) as { version: string; packages: { '': { version: string } } };
    expect([lock.version, lock.packages[''].version]).toEqual([manifest.version, manifest.version]);
    expect(/^## (?:\[)?(\d[\d.]*)/m.exec(read('CHANGELOG.md'))?.[1]).toBe(manifest.version);
    expect(read('SECURITY.md')).toContain(`| ${major}.${minor}.x | yes |`);
  });

  test('the image has this version in manifests and guides', () => {
    const named = [...files.filter(name => /^(deploy|docs)\/.*(\.ya?ml|\.md|Dockerfile)$/.test(name))].flatMap(name =>
      [...read(name).matchAll(/(?:\bwireguard-ts:|newTag: )(\d+\.\d+\.\d+)/g)].map(([, version]) => ({
        name,
        version,
      })),
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter(({ version }) => version !== manifest.version)).toEqual([]);
  });

  test('documents name the oldest Node that package.json allows', () => {
    const oldest = manifest.engines.node.replace('>=', '');
    const named = [...documents, 'README.md', 'README.zh.md', 'docs/en/library.md', 'docs/en/quick-start.md'].flatMap(
      name => [...read(name).matchAll(/Node(?:\.js)? (\d+\.\d+) (?:or newer|或更新)/g)].map(([, version]) => version),
    );
    expect(named.length).toBeGreaterThan(2);
    expect(new Set(named)).toEqual(new Set([oldest]));
  });

  test('the programs page names the Node of the single executable', () => {
    const [, pinned] = /NODE_VERSION = '(\d+)/.exec(read('scripts/package/node.mjs'))!;
    expect(read('docs/programs.md')).toContain(`official Node ${pinned}`);
  });
});

describe('the check of paths finds', () => {
  test.each(['`src/no-such-folder`', '`src/base/no-such.ts`', '`no-such-folder/file.ts`', '`test/no*such.ts`'])(
    '%s',
    text => {
      expect(missingPaths(text)).toEqual([text.slice(1, -1)]);
    },
  );

  test('no problem in commands, placeholders and paths outside of the repository', () => {
    expect(
      missingPaths('`npm run test:all`, `/run/wireguard-ts`, `src/base`, `bin/`, `dist/program/wgts.cjs`'),
    ).toEqual([]);
  });
});

function read(name: string): string {
  return readFileSync(join(REPOSITORY, name), 'utf8');
}

function hasWord(text: string, word: string): boolean {
  const literal = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w$])${literal}(?![\\w$])`).test(text);
}

/** Returns paths in backticks that are not in the repository. A source file needs its full path. */
function missingPaths(text: string): string[] {
  const spans = [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([\w.*/-]+)`/g)].map(([, span]) => span!);
  return spans.filter(span => {
    const path = span.replace(/\/$/, '');
    if (!FOLDERS.includes(path.split('/')[0]!) && !(CODE_FILE.test(path) && path.includes('/'))) return false;
    if (/^(dist|\.\.)\//.test(path)) return false;
    if (!path.includes('*')) return !present.has(path);
    const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`);
    return !files.some(name => pattern.test(name));
  });
}

/** Returns the table cell of a folder: `calico/*` means every other folder of src/calico. */
function importsCell(folder: string): string {
  const may = MAY_IMPORT[folder]!;
  const calico = Object.keys(MAY_IMPORT).filter(name => name.startsWith('calico/') && name !== folder);
  const all = calico.length > 0 && calico.every(name => may.includes(name));
  const named = all ? [...may.filter(name => !calico.includes(name)), 'calico/*'] : may;
  return named.join(', ') || '-';
}
