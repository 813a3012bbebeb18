#!/usr/bin/env node
// Makes the pages of the library's API from its doc comments: `npm run docs` writes them to
// dist/api-pages. A warning is an error: an export or a member without a doc comment, a link that
// leads nowhere, a type that no entry point exports.
//
// This folder is a package of its own because typedoc needs the compiler's JavaScript API.
// TypeScript 7, the native compiler that the rest of the repository uses, has no such API, so npm
// gives this folder its own TypeScript 6.
//
// usage: make.mjs [--check] [--tsconfig FILE ENTRY...]
//   --check     write nothing
//   --tsconfig  document other files than the package's entry points
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Application, LogLevel } from 'typedoc';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const OUTPUT = join(ROOT, 'dist/api-pages');
const ENTRIES = ['index', 'public/engine', 'public/config', 'public/device', 'public/calico-plan'];
/** Everything that an editor shows in a hover, constructors included. */
const DOCUMENTED = [
  'Variable',
  'Function',
  'Class',
  'Interface',
  'TypeAlias',
  'Constructor',
  'Property',
  'Method',
  'Accessor',
];

const { values, positionals } = parseArgs({
  options: { check: { type: 'boolean' }, tsconfig: { type: 'string' } },
  allowPositionals: true,
});
const entryPoints = positionals.length > 0 ? positionals : ENTRIES.map(name => join(ROOT, `src/${name}.ts`));
const app = await Application.bootstrap({
  name: 'wireguard-ts',
  entryPoints: entryPoints.map(path => resolve(path)),
  tsconfig: values.tsconfig ?? join(ROOT, 'api-pages/tsconfig.json'),
  // tsc -b does that
  skipErrorChecking: true,
  readme: 'none',
  disableSources: true,
  excludePrivate: true,
  // what only the programs of this package use (@internal)
  excludeInternal: true,
  requiredToBeDocumented: DOCUMENTED,
  validation: {
    notExported: true,
    invalidLink: true,
    invalidPath: true,
    rewrittenLink: true,
    notDocumented: true,
    unusedMergeModuleWith: true,
  },
  // lists that only their element types are made of
  intentionallyNotExported: ['BACKENDS', 'OFFLOAD_SWITCHES'],
});
const warnings = [];
app.logger.log = (message, level) => level >= LogLevel.Warn && warnings.push(message);
const project = await app.convert();
if (project) app.validate(project);
if (project && warnings.length === 0 && !values.check) await app.generateDocs(project, OUTPUT);
for (const warning of warnings) console.error(warning);
if (warnings.length > 0) {
  console.error(`${warnings.length} warnings: mend the doc comments that they name; no pages were written`);
  process.exitCode = 1;
} else if (!values.check) console.log(`the pages of the API are in ${join(OUTPUT, 'index.html')}`);
