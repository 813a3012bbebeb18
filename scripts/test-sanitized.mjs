#!/usr/bin/env node
// `npm run test:sanitized [-- FILTER...]` builds the addon with AddressSanitizer and
// UndefinedBehaviorSanitizer, and runs the contract, io and fuzz suites with it, except for tests
// that never call it. Needs a C compiler with both (gcc or clang; CC), root for the tests with
// devices.
//
// vitest itself runs as usual. Its workers, and every program that a test starts by
// process.execPath, run a script that loads the sanitizers' runtime before Node, and this build in
// place of the repository's addon. Node itself has no sanitizers, but its memory does: the bytes of
// an ArrayBuffer are guarded, so a write of the addon beyond one is a finding.
//
// Before the tests, builds with planted faults show that each kind of finding ends a process.
// LeakSanitizer is off in the tests, because Node leaves its own memory at its end; a program that
// makes each kind of handle runs with it (test/io/addon-leaks.mjs). Random tests run fewer cases;
// WG_FUZZ_RUNS and CRYPTO_CASES override their numbers.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';
import { NATIVE } from './addon/recipe.mjs';
import { buildSanitized, PLANTED, sanitizerRuntime } from './addon/sanitized.mjs';

const SUITES = ['test/contract/', 'test/io/', 'test/fuzz/'];
/** Files that do not load the addon, or that run its code with sanitizers by themselves. */
const LEFT_OUT = [
  'test/contract/netlink-fake.test.ts',
  'test/fuzz/memory-safety.test.ts',
  'test/fuzz/native-targets.test.ts',
  'test/fuzz/parsers.test.ts',
  'test/fuzz/round-trips.test.ts',
  'test/io/lanes-threads.test.ts',
  'test/io/logind.test.ts',
];
/**
 * How the full names of tests begin that are left out, in files of others that call the addon: slow
 * ones of a provider and of the kernel in TypeScript, and those that preload a library of their own
 * in place of the sanitizers.
 */
const LEFT_OUT_TESTS = ['noble: ', 'Wycheproof .*: noble$', 'the fake kernel ', 'a confined process asks '];
const ROOT = fileURLToPath(new URL('..', import.meta.url));
/**
 * Names the folder of a run: in a network namespace of its own, a file is run by another vitest.
 */
const INNER = 'WGTS_SANITIZED_FOLDER';
const LEAKS = fileURLToPath(new URL('../test/io/addon-leaks.mjs', import.meta.url));

const inner = process.env[INNER];
const folder = inner ?? mkdtempSync(join(tmpdir(), 'wgts-sanitized-'));
const reports = join(folder, 'reports');
const loaded = join(folder, 'loaded');
try {
  if (inner === undefined) await prepare();
  if (process.exitCode === undefined) await test();
  if (inner === undefined) summary();
} finally {
  if (inner === undefined) rmSync(folder, { recursive: true, force: true });
}

async function prepare() {
  const runtime = sanitizerRuntime();
  if (runtime === undefined) fail('needs a C compiler with libasan: apt-get install gcc libc6-dev');
  mkdirSync(reports);
  const addon = await buildSanitized(folder);
  writeProgram('node', runtime, addon, 'detect_leaks=0');
  writeProgram('node-leaks', runtime, addon, 'detect_leaks=1:malloc_context_size=2');
  // Only the addon's own allocations count. LeakSanitizer sees two frames of each stack:
  // the allocator and its caller.
  writeFileSync(
    join(folder, 'suppressions'),
    `leak:${process.execPath}$\nleak:libstdc++\nleak:libc.so\nleak:ld-linux\n`,
  );
  await mustReport('overflow', 'node', splitCall(4096), 'heap-buffer-overflow');
  await mustReport('undefined', 'node', splitCall(64), 'signed integer overflow');
  await mustReport('leak', 'node-leaks', undefined, 'LeakSanitizer: detected memory leaks');
  const { status, output } = runLeaks('node-leaks', addon);
  if (status !== 0) fail(`the addon leaks:\n${output}${readReports()}`);
  console.log('test:sanitized: planted faults are reported; all kinds of handles are freed');
}

/** Returns code that splits a packet of this length, in an array of 64 bytes. */
function splitCall(length) {
  return `const slab = new Uint8Array(64);
slab.set([0x45, 0, 0, 20], 10);
native.offloadSplit(slab, 0, ${length}, new Uint8Array(8192), 4096);`;
}

/** Writes a program that runs Node with the sanitizers' runtime and this addon. */
function writeProgram(name, runtime, addon, options) {
  const program = join(folder, name);
  const preload = join(folder, `${name}.cjs`);
  writeFileSync(
    preload,
    `process.execPath = ${JSON.stringify(program)};
delete process.env.LD_PRELOAD;
const { dlopen } = process;
process.dlopen = (module, path, ...rest) => {
  const isOurs = path.startsWith(${JSON.stringify(`${NATIVE}/`)});
  if (isOurs) require('node:fs').appendFileSync(${JSON.stringify(loaded)}, process.pid + '\\n');
  return dlopen.call(process, module, isOurs ? ${JSON.stringify(addon)} : path, ...rest);
};
`,
  );
  const asan = [
    options,
    `log_path=${reports}/report`,
    `suppressions=${folder}/none`,
    'handle_segv=2',
    'handle_abort=1',
    'exitcode=66',
    'alloc_dealloc_mismatch=0',
  ];
  writeFileSync(join(folder, 'none'), '');
  const environment = {
    LD_PRELOAD: runtime,
    ASAN_OPTIONS: asan.join(':'),
    // Its report is on standard error only. AddressSanitizer reports its end by SIGABRT to a file.
    UBSAN_OPTIONS: `print_stacktrace=1:abort_on_error=1:log_path=${reports}/report`,
    LSAN_OPTIONS: `suppressions=${folder}/suppressions:print_suppressions=0`,
  };
  const text = Object.entries(environment).map(([key, value]) => `${key}='${value}'`);
  writeFileSync(program, `#!/bin/sh\n${text.join(' ')} exec '${process.execPath}' --require '${preload}' "$@"\n`);
  chmodSync(program, 0o755);
}

/** Fails unless a planted fault ends the process with a report. */
async function mustReport(planted, program, code, expected) {
  const addon = await buildSanitized(folder, planted);
  const { status, output } =
    code === undefined
      ? runLeaks(program, addon)
      : run(program, ['-e', `const native = require(${JSON.stringify(addon)}); ${code}`]);
  const text = readReports();
  if (status === 0 || text === '' || !`${output}${text}`.includes(expected))
    fail(`the sanitizers are not active: "${PLANTED[planted].by}" ended with ${status}\n${output}${text}`);
  rmSync(reports, { recursive: true });
  mkdirSync(reports);
}

function runLeaks(program, addon) {
  // The tests of a device need a network namespace of their own.
  return run(program, ['--expose-gc', LEAKS, addon], process.getuid() === 0 ? ['unshare', '-n'] : ['unshare', '-Urn']);
}

function run(program, args, [prefix = join(folder, program), ...rest] = []) {
  const more = prefix === join(folder, program) ? [] : [...rest, join(folder, program)];
  const { status, signal, stdout, stderr } = spawnSync(prefix, [...more, ...args], { encoding: 'utf8' });
  return { status: status ?? signal, output: `${stdout}${stderr}` };
}

async function test() {
  process.env[INNER] = folder;
  process.env.WGTS_EMULATED_VITEST = JSON.stringify([process.execPath, fileURLToPath(import.meta.url)]);
  process.execPath = join(folder, 'node');
  process.env.WG_FUZZ_RUNS ??= '2000';
  process.env.CRYPTO_CASES ??= '40';
  const filters = process.argv.slice(2);
  const vitest = await startVitest('test', filters.length > 0 ? filters : files(), {
    run: true,
    watch: false,
    project: 'most',
    pool: 'forks',
    testNamePattern: new RegExp(`^(?!${LEFT_OUT_TESTS.join('|')})`),
  });
  await vitest.close();
}

function files() {
  const all = SUITES.flatMap(suite => readdirSync(join(ROOT, suite)).map(name => suite + name));
  const unknown = LEFT_OUT.filter(path => !all.includes(path));
  if (unknown.length > 0) throw new Error(`no such tests: ${unknown.join(', ')}`);
  return all.filter(path => path.endsWith('.test.ts') && !LEFT_OUT.includes(path));
}

/** A report counts even if the test expected its process to fail. */
function summary() {
  const text = readReports();
  if (text !== '') {
    fail(`findings:\n${text}`);
    return;
  }
  const processes = existsSync(loaded) ? new Set(readFileSync(loaded, 'utf8').trim().split('\n')).size : 0;
  if (processes === 0) {
    fail('no test has loaded the sanitized addon');
    return;
  }
  console.log(`test:sanitized: ${processes} processes loaded the sanitized addon, no finding`);
}

function readReports() {
  return readdirSync(reports)
    .map(name => readFileSync(join(reports, name), 'utf8'))
    .join('\n');
}

function fail(message) {
  console.error(`test:sanitized: ${message}`);
  process.exitCode = 1;
  if (inner === undefined && process.env[INNER] === undefined) {
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  }
}
