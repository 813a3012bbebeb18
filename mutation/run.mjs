#!/usr/bin/env node
// Mutation tests: changes the code of `src` in thousands of small ways, and counts the changes that
// no fast test notices. docs/mutation.md has the scores, and why each survivor stays.
//
// usage: npm run mutation -- [--concurrency=N] [--longest=MS] [--hangs=SECONDS] [--sample=PERCENT]
//                            [--seed=TEXT] [--again | --continue] [FOLDER | FILE]...
//   FOLDER    routing, packet, protocol, config, calico/plan; all of them without one
//   FILE      only this file of one of them, or a range of its lines: src/packet/split.ts:30-54
//   --longest leave out tests that need more than this time of a processor (500)
//   --hangs   end a mutant that loops without steps of its own (600): a busy machine needs long
//   --sample  judge only a part of the mutants, chosen by --seed (21)
//   --continue  go on after a run that was stopped, if neither code nor tests have changed
//   --again   forget the last run, whose results are kept where neither code nor test has changed
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CASES, FOLDERS, LEFT_OUT, testFiles } from './folders.mjs';
import { report } from './report.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Sandboxes, results and reports. */
const MADE = '.made/mutation';
const ALL = '100';

const { values, positionals } = parseArgs({
  options: {
    concurrency: { type: 'string', default: '2' },
    longest: { type: 'string', default: '500' },
    hangs: { type: 'string', default: '600' },
    sample: { type: 'string', default: ALL },
    seed: { type: 'string', default: '21' },
    again: { type: 'boolean', default: false },
    continue: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
process.chdir(ROOT);
if (!existsSync('mutation/node_modules')) spawnSync('npm', ['ci', '--prefix', 'mutation'], { stdio: 'inherit' });
const { Stryker } = await import('@stryker-mutator/core');
Object.assign(process.env, CASES);
mkdirSync(MADE, { recursive: true });
// the tests look for ../shared beside the clone, and a sandbox is a clone in MADE
rmSync(join(MADE, 'shared'), { force: true });
symlinkSync(join(ROOT, '../shared'), join(MADE, 'shared'));
for (const [folder, files] of chosen(positionals)) await judge(folder, files);

async function judge(folder, files) {
  const made = join(MADE, folder.replace('/', '-'));
  const [log, earlier] = [`${made}.log`, `${made}.earlier.log`];
  if (!values.continue) rmSync(earlier, { force: true });
  // a run that was continued and stopped has the results of both
  else if (existsSync(log)) appendFileSync(earlier, readFileSync(log));
  rmSync(log, { force: true });
  const results = await new Stryker({
    mutate: files,
    testRunner: 'one-process',
    plugins: [join(ROOT, 'mutation/plugin.mjs')],
    ignorers: ['messages'],
    coverageAnalysis: 'perTest',
    // They change what a module computes when it is loaded, so each needs all modules again.
    ignoreStatic: true,
    concurrency: Number(values.concurrency),
    timeoutMS: Number(values.hangs) * 1000,
    timeoutFactor: 4,
    dryRunTimeoutMinutes: 60,
    tempDirName: MADE,
    cleanTempDir: 'always',
    ignorePatterns: ['*', '!package.json', ...['src', 'test', 'vectors', 'native'].map(name => `!${name}/**`)],
    incremental: values.sample === ALL,
    force: values.again,
    incrementalFile: `${made}.json`,
    reporters: ['progress-append-only', 'log'],
    allowConsoleColors: false,
    warnings: { unknownOptions: false },
    wireguardTests: {
      earlier: join(ROOT, earlier),
      files: testFiles(folder),
      leftOut: LEFT_OUT,
      longestMs: Number(values.longest),
      sample: { seed: values.seed, percent: Number(values.sample) },
      log: join(ROOT, log),
    },
  }).runMutationTest();
  if (!report(folder, results, FOLDERS[folder].score)) process.exitCode = 1;
}

/** Returns the folders, each with the files or patterns to mutate. */
function chosen(names) {
  if (names.length === 0) return Object.keys(FOLDERS).map(folder => [folder, [`src/${folder}/**/*.ts`]]);
  const files = new Map();
  for (const name of names) {
    const bare = name.replace(/^src\//, '').replace(/\/$/, '');
    const folder = Object.keys(FOLDERS).find(each => bare === each || bare.startsWith(`${each}/`));
    if (!folder) throw new Error(`${name}: no folder of ${Object.keys(FOLDERS).join(', ')}, and no file in one`);
    const pattern = bare === folder ? `src/${folder}/**/*.ts` : `src/${bare}`;
    files.set(folder, [...(files.get(folder) ?? []), pattern]);
  }
  return [...files];
}
