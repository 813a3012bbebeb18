#!/usr/bin/env node
// Runs the tests that would judge mutants once, without Stryker and without a mutant, and prints
// the slowest: each of them costs this time for every mutant that it reaches and does not kill.
//
// usage: node mutation/dry-run.mjs FOLDER...      (routing, packet, protocol, config, calico/plan)
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CASES, FOLDERS, LEFT_OUT, testFiles } from './folders.mjs';
import { importTypeScript } from './typescript-hooks.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const SHOWN = 10;

process.chdir(ROOT);
Object.assign(process.env, CASES);
importTypeScript();
const { loadTests, runTest } = await import('./harness.mjs');
for (const folder of process.argv.slice(2)) {
  if (!FOLDERS[folder]) throw new Error(`${folder}: no folder of ${Object.keys(FOLDERS).join(', ')}`);
  const ran = [];
  for (const file of testFiles(folder)) {
    for (const test of await loadTests(file, pathToFileURL(join(ROOT, file)).href, LEFT_OUT)) {
      const start = process.cpuUsage();
      const error = await runTest(test);
      const { user, system } = process.cpuUsage(start);
      ran.push({ id: test.id, ms: Math.round((user + system) / 1000) });
      if (error === undefined) continue;
      console.error(`failed: ${test.id}: ${error.message ?? error}`);
      process.exitCode = 1;
    }
  }
  for (const { id, ms } of ran.toSorted((a, b) => b.ms - a.ms).slice(0, SHOWN)) console.log(`${ms} ms  ${id}`);
  console.log(`${folder}: ${ran.length} tests, ${ran.reduce((sum, { ms }) => sum + ms, 0)} ms`);
}
