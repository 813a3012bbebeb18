#!/usr/bin/env node
// Makes dist/program, which bin/wgts and bin/wireguard-ts run: the compiled program and the
// packages that it uses, in few files that Node loads fast. The output is CommonJS, because Node's
// loader of ES modules alone takes about 10 ms. It is split, so that each command loads only what
// it needs, and keeps the names of the sources, so that stack traces are readable. The library,
// dist/**/*.js, is not bundled.
import { readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUTPUT = join(ROOT, 'dist/program');
const SOURCES = join(ROOT, 'src') + sep;
// The bundler names modules by their real paths; node_modules may be a symbolic link.
const MODULES = realpathSync(join(ROOT, 'node_modules')) + sep;
const PROGRAMS = ['wgts', 'wireguard-ts'];
/** The manifests, which `wgts calico install` reads (src/cli/deploy-tree.ts). */
const DEPLOY = join(ROOT, 'deploy');
const MANIFESTS = join(OUTPUT, 'deploy.json');
/** Written last, so its modification time stands for the whole output. */
const NOTICES = join(OUTPUT, 'THIRD-PARTY-LICENSES.txt');
/**
 * Packages whose unused files may be dropped, although they do not declare it: the Kubernetes
 * client contains 14 MB of generated API.
 */
const PURE = /[\\/]node_modules[\\/]@kubernetes[\\/]client-node[\\/]/;

/**
 * Files that are loaded together are bundled as one, because finding and reading a file takes 0.4
 * ms. The first group is what every command loads; the `devices` group is what every command that
 * looks at devices loads. A group includes the imports of its files, except those in an earlier
 * group.
 */
const GROUPS = [
  { name: 'start', files: /^cli\/(signals|wgts-program|terminal)|^config\/errors|^io\/installation/ },
  { name: 'keys', files: /^base\/(key|secret)/ },
  { name: 'devices', files: /^backend\/(system|kernel|userspace)|^cli\/commands\/show\.ts/ },
];

/**
 * Replaces the package node-fetch by Node's own fetch. The package is made for Nodes without fetch;
 * it brings 0.4 MB of tables and loads `punycode`, about which newer Nodes warn. The Kubernetes
 * client's configuration only refers to it. Node's own fetch takes long to load, so nothing touches
 * it before the first call.
 */
const FETCH = '\0node-fetch';
const OWN_FETCH = `export function Headers(init) { return new globalThis.Headers(init); }
export class AbortError extends Error {}
export class FetchError extends Error {}
export default (...request) => globalThis.fetch(...request);`;

/**
 * Characters outside of ASCII. A single one makes V8 use twice the memory for the whole file. They
 * occur only in strings and regular expressions, so they can be escaped.
 */
const NOT_ASCII = /[^\0-\x7f]/g;
const escaped = unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

if (isUpToDate()) process.exit(0);
rmSync(OUTPUT, { recursive: true, force: true });
const bundle = await rolldown({
  cwd: ROOT,
  input: Object.fromEntries(PROGRAMS.map(name => [name, join(ROOT, `src/cli/${name}.ts`)])),
  platform: 'node',
  plugins: [
    {
      name: 'fetch',
      resolveId: id => (id === 'node-fetch' ? FETCH : null),
      load: id => (id === FETCH ? OWN_FETCH : null),
    },
  ],
  treeshake: { moduleSideEffects: id => !PURE.test(id) },
  onLog(level, log, report) {
    // Fail now: otherwise an import that cannot be resolved fails only when a command loads it.
    if (level === 'warn' && log.code === 'UNRESOLVED_IMPORT') throw new Error(log.message);
    // A module of a group may be loaded before its command asks for it; this is intended.
    if (log.code === 'INEFFECTIVE_DYNAMIC_IMPORT') return;
    if (level === 'warn' && !log.id?.startsWith(MODULES)) report(level, log);
  },
});
const { output } = await bundle.write({
  dir: OUTPUT,
  format: 'cjs',
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name].cjs',
  comments: { legal: true, annotation: false, jsdoc: false },
  minify: false,
  codeSplitting: {
    groups: GROUPS.map(({ name, files }, i) => ({
      name,
      priority: GROUPS.length - i,
      test: id => id.startsWith(SOURCES) && files.test(id.slice(SOURCES.length)),
    })),
  },
  // A single executable does not have a loader of ES modules.
  dynamicImportInCjs: false,
  plugins: [{ name: 'ascii', renderChunk: code => code.replace(NOT_ASCII, escaped) }],
});
await bundle.close();
writeFileSync(MANIFESTS, manifests());
writeFileSync(NOTICES, notices(output.flatMap(chunk => (chunk.type === 'chunk' ? chunk.moduleIds : []))));

function isUpToDate() {
  const made = statSync(NOTICES, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true }).map(entry =>
    join(entry.parentPath, entry.name),
  );
  const known = statSync(MANIFESTS, { throwIfNoEntry: false }) && readFileSync(MANIFESTS, 'utf8');
  if (known !== manifests()) return false;
  return [...inputs, join(ROOT, 'package-lock.json'), fileURLToPath(import.meta.url)].every(
    path => statSync(path).mtimeMs < made,
  );
}

/** Returns the texts of the manifests by their paths in deploy/. The chart has its own format. */
function manifests() {
  const paths = readdirSync(DEPLOY, { recursive: true }).filter(
    path => path.endsWith('.yaml') && !/^(helm|examples)\//.test(path),
  );
  const texts = paths.sort().map(path => [path, readFileSync(join(DEPLOY, path), 'utf8')]);
  return JSON.stringify(Object.fromEntries(texts), null, 1);
}

/** Returns the licences of the bundled packages, which require their text to be included. */
function notices(modules) {
  const folders = new Set(modules.filter(id => id.startsWith(MODULES)).map(packageFolder));
  if (folders.size === 0) throw new Error(`no module of the programs is in ${MODULES}`);
  const parts = [...folders].sort().map(folder => {
    const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find(each => /^licen[cs]e(\.|$)/i.test(each));
    const by = typeof author === 'object' ? author.name : author;
    const text = file ? readFileSync(join(folder, file), 'utf8') : `Licence: ${license}. Author: ${by}.`;
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  return `The programs in this folder contain parts of these packages.\n\n${parts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

function packageFolder(id) {
  const at = id.lastIndexOf(`${sep}node_modules${sep}`) + '/node_modules/'.length;
  const [scope, name] = id.slice(at).split(sep);
  return id.slice(0, at) + (scope.startsWith('@') ? join(scope, name) : scope);
}
