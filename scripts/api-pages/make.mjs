#!/usr/bin/env node
// Makes the pages of the library's API from its doc comments: npm run docs writes them to dist/api-pages. A warning is
// an error: an export or a member without a doc comment, a link that leads nowhere, a type that no entry point exports.
//
// This folder is a package of its own because typedoc needs the compiler's JavaScript API, and TypeScript 7, the native
// compiler that the rest of the repository uses, has no such API. npm gives the folder its own TypeScript 6.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, LogLevel } from 'typedoc';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
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

/**
 * Checks the doc comments, and writes the pages where there are no warnings.
 * @param {{ root?: string, entryPoints?: string[], tsconfig?: string, out?: string }} options `out` absent: checks only
 * @returns {Promise<string[]>} the warnings and errors
 */
export async function makePages({
  root = ROOT,
  entryPoints = entries(),
  tsconfig = 'scripts/api-pages/tsconfig.json',
  out,
}) {
  const messages = [];
  const app = await Application.bootstrap({
    name: 'wireguard-ts',
    entryPoints: entryPoints.map(path => join(root, path)),
    tsconfig: join(root, tsconfig),
    basePath: root,
    readme: 'none',
    excludePrivate: true,
    excludeInternal: true,
    disableSources: true,
    githubPages: false,
    requiredToBeDocumented: DOCUMENTED,
    validation: {
      notExported: true,
      invalidLink: true,
      invalidPath: true,
      rewrittenLink: true,
      notDocumented: true,
      unusedMergeModuleWith: true,
    },
    logLevel: 'Warn',
  });
  app.logger.log = (message, level) => level >= LogLevel.Warn && messages.push(message);
  const project = await app.convert();
  if (project) app.validate(project);
  if (project && out && messages.length === 0) await app.generateDocs(project, out);
  return messages;
}

function entries() {
  return ['src/index.ts', ...['engine', 'config', 'device', 'calico-plan'].map(name => `src/public/${name}.ts`)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const out = process.argv[2] ?? `${ROOT}/dist/api-pages`;
  const messages = await makePages({ out });
  for (const message of messages) console.error(message);
  if (messages.length > 0) console.error(`npm run docs: ${messages.length} warnings, nothing is written`);
  else console.log(`npm run docs: the pages are in ${out}/index.html`);
  process.exitCode = messages.length > 0 ? 1 : 0;
}
