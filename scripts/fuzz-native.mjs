#!/usr/bin/env node
// `npm run fuzz:native [-- [--seconds=N] [TARGET...]]` fuzzes the addon's C files with libFuzzer,
// AddressSanitizer and UndefinedBehaviorSanitizer: each target (test/fuzz/native) first over its
// corpus, then for N seconds (60) of new inputs. N=0 runs the corpus only. As many targets run at a
// time as there are processors. Needs clang.
//
// The inputs that reached new code stay in the user's cache folder, so the next run goes on where
// this one ended. A finding stops its target and is printed as a line for the corpus.
//
// Environment: CLANG (clang).
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { CACHE } from './addon/cache.mjs';
import { compileTarget, corpusOf, TARGETS } from './addon/fuzz-targets.mjs';

const FOLDER = join(CACHE, 'fuzz-native');
/**
 * Ends an input that takes longer. It is a finding: no loop may depend on the input for its end.
 */
const INPUT_LIMIT_S = 60;
const compiler = process.env.CLANG || 'clang';

const names = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
const options = process.argv.slice(2).filter(argument => argument.startsWith('--'));
const seconds = Number(/^--seconds=(\d+)$/.exec(options[0] ?? '--seconds=60')?.[1]);
const unknown = names.find(name => !Object.hasOwn(TARGETS, name));
if (options.length > 1 || Number.isNaN(seconds))
  fail(`unknown option ${options.join(' ')}; the only one is --seconds=N`);
if (unknown !== undefined) fail(`no target ${unknown}; there are ${Object.keys(TARGETS).join(', ')}`);
if (spawnSync(compiler, ['--version']).status !== 0)
  fail(`needs ${compiler} with libFuzzer: apt-get install clang libclang-rt-dev`);

const targets = names.length > 0 ? names : Object.keys(TARGETS);
mkdirSync(FOLDER, { recursive: true });
await atOnce(targets, async name => {
  const problem = await compileTarget(name, { compiler, program: join(FOLDER, `${name}.program`) });
  if (problem !== undefined) fail(`${name} does not compile:\n${problem}`);
});
const found = [];
await atOnce(targets, async name => {
  if (!(await fuzz(name))) found.push(name);
});
if (found.length > 0) fail(`findings in ${found.join(', ')}`);

/** Runs a target over its corpus, then over new inputs. Returns whether it found nothing. */
async function fuzz(name) {
  const [own, grown, findings] = ['corpus', 'grown', 'findings'].map(kind => join(FOLDER, name, kind));
  rmSync(own, { recursive: true, force: true });
  for (const folder of [own, grown, findings]) mkdirSync(folder, { recursive: true });
  const inputs = corpusOf(name).map((bytes, i) => {
    const path = join(own, String(i));
    writeFileSync(path, bytes);
    return path;
  });
  if (inputs.length === 0) fail(`${name} has no corpus`);
  const before = new Set(readdirSync(findings));
  const flags = [`-artifact_prefix=${findings}/`, `-timeout=${INPUT_LIMIT_S}`, '-rss_limit_mb=2048'];
  let { status, output } = await run(name, [...flags, ...inputs]);
  let text = `${inputs.length} inputs of the corpus`;
  if (status === 0 && seconds > 0) {
    ({ status, output } = await run(name, [...flags, `-max_total_time=${seconds}`, grown, own]));
    const executions = /Done (\d+) runs in (\d+) second/.exec(output);
    const coverage = [...output.matchAll(/cov: (\d+) ft: (\d+)/g)].at(-1);
    text += `, ${executions?.[1]} executions in ${executions?.[2]} s, ${coverage?.[1]} edges covered`;
  }
  if (status === 0) {
    console.log(`${name}: ${text}, no fault`);
    return true;
  }
  console.error(`${output.split('\n').slice(-60).join('\n')}\n${name}: a finding (${status}) after ${text}`);
  for (const file of readdirSync(findings).filter(file => !before.has(file)))
    console.error(
      `Fix it, and add this line to test/fuzz/native/corpus/${name}.hex:\n${readFileSync(join(findings, file), 'hex')}`,
    );
  return false;
}

function run(name, args) {
  return new Promise(resolve => {
    const child = spawn(join(FOLDER, `${name}.program`), args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      // Memory is reused early: a large quarantine makes every input of some 100 KiB slow.
      env: { ...process.env, ASAN_OPTIONS: 'quarantine_size_mb=8', UBSAN_OPTIONS: 'print_stacktrace=1' },
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', text => {
      output = (output + text).slice(-1_000_000);
    });
    child.on('close', (code, signal) => resolve({ status: code ?? signal, output }));
  });
}

/** Runs a task for each item, as many at a time as there are processors. */
async function atOnce(items, task) {
  const waiting = [...items];
  await Promise.all(
    Array.from({ length: os.availableParallelism() }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await task(next);
    }),
  );
}

function fail(message) {
  console.error(`fuzz:native: ${message}`);
  process.exit(1);
}
