// Stryker's test runner of this repository, and what it leaves alone.
//
// Stryker's own runner for vitest starts a worker and loads all files for each mutant: a second of
// a processor. Here the files are loaded once for each process, and a mutant costs what its tests
// cost. What a mutant leaves behind in a module's variables cannot kill the next one: after a
// failure the same test runs without a mutant, and if it fails then too, all modules are loaded
// again and the mutant gets a second run.

import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { commonTokens, declareClassPlugin, declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';
import {
  DryRunStatus,
  determineHitLimitReached,
  MutantRunStatus,
  TestStatus,
  toMutantRunResult,
} from '@stryker-mutator/api/test-runner';
import { importTypeScript } from './typescript-hooks.mjs';

/** How long each test took without a mutant: the fast ones go first. */
const TIMES = '.mutation-times.json';
/** What it costs to load all modules of a test file again, about. */
const RELOAD_MS = 300;
/** Stryker allows a hundred times the steps of all tests; a loop of millions would take minutes. */
const HITS_SPARED = 20;
/** How many tests of a file that killed go first, and how long each may take. */
const KILLERS = 20;
const KILLER_MS = 50;
const NOT_SAMPLED = 'not in the sample';
/** What a mutant's run returns for a status that an earlier run has found. */
const FOUND = {
  Killed: { status: MutantRunStatus.Killed, killedBy: [], failureMessage: 'in an earlier run', nrOfTests: 0 },
  Survived: { status: MutantRunStatus.Survived, nrOfTests: 0 },
  Timeout: { status: MutantRunStatus.Timeout, reason: 'in an earlier run' },
};

class OneProcessRunner {
  static inject = [commonTokens.options];
  #files;
  /** The sandbox: a test may change the folder. */
  #root;
  #longest;
  #sample;
  #leftOut;
  /** The log of an earlier run that was stopped, and its statuses by mutant. */
  #earlier;
  #found;
  #harness;
  /** Loaded tests by their identity, of this generation of modules. */
  #tests = new Map();
  #generation = 0;
  /** By file: the tests that killed its last mutants, the latest first. They go first. */
  #killers = new Map();
  /** Whether no mutant has run in this generation. */
  #isFresh = true;
  #times;
  #global;

  constructor(options) {
    this.#files = options.wireguardTests.files;
    this.#root = process.cwd();
    globalThis.__stryker__ ??= {};
    this.#global = globalThis.__stryker__;
    this.#longest = options.wireguardTests.longestMs;
    this.#sample = options.wireguardTests.sample ?? { percent: 100 };
    this.#leftOut = options.wireguardTests.leftOut ?? [];
    this.#earlier = options.wireguardTests.earlier;
  }

  capabilities() {
    return { reloadEnvironment: true };
  }

  async init() {
    importTypeScript();
    this.#harness = await import('./harness.mjs');
  }

  async dryRun() {
    for (const file of this.#files) await this.#load(file);
    const results = [];
    for (const test of this.#tests.values()) {
      this.#global.currentTestId = test.id;
      results.push(await this.#run(test));
    }
    this.#global.currentTestId = undefined;
    const { mutantCoverage } = this.#global;
    for (const { id, timeSpentMs } of results) if (timeSpentMs > this.#longest) delete mutantCoverage.perTest[id];
    const tests = results.filter(({ timeSpentMs }) => timeSpentMs <= this.#longest);
    await writeFile(
      resolve(this.#root, TIMES),
      JSON.stringify(Object.fromEntries(tests.map(({ id, timeSpentMs }) => [id, timeSpentMs]))),
    );
    return { status: DryRunStatus.Complete, tests, mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation }) {
    if (!isSampled(activeMutant, this.#sample)) return { status: MutantRunStatus.Error, errorMessage: NOT_SAMPLED };
    this.#found ??= readLog(this.#earlier);
    const found = FOUND[this.#found.get(identityOf(activeMutant, 1))];
    if (found) return found;
    this.#times ??= JSON.parse(await readFile(resolve(this.#root, TIMES), 'utf8'));
    const killers = this.#killers.get(activeMutant.fileName) ?? [];
    const costOf = id => (killers.includes(id) ? killers.indexOf(id) - killers.length : this.#times[id]);
    const chosen = (testFilter ?? Object.keys(this.#times)).sort((a, b) => costOf(a) - costOf(b));
    const mutant = { activeMutant: activeMutant.id, hitCount: 0, hitLimit: hitLimit && hitLimit / HITS_SPARED };
    if (mutantActivation === 'static') {
      this.#renew();
      Object.assign(this.#global, mutant);
    }
    let result = await this.#attempt(chosen, mutant);
    if (result === undefined) {
      this.#renew();
      result = await this.#attempt(chosen, mutant);
    }
    if (mutantActivation === 'static') this.#renew();
    this.#remember(activeMutant.fileName, killers, result.killedBy);
    return result;
  }

  /** Runs the tests. @returns undefined if an earlier mutant may be the reason of a failure */
  async #attempt(chosen, mutant) {
    const wasFresh = this.#isFresh;
    this.#isFresh = false;
    const results = [];
    try {
      for (const file of new Set(chosen.map(fileOf))) await this.#load(file);
      Object.assign(this.#global, mutant);
      for (const id of chosen) {
        results.push(await this.#run(this.#tests.get(id)));
        if (results.at(-1).status === TestStatus.Failed) break;
      }
    } catch (error) {
      // a static mutant: a module or a test file cannot be loaded
      results.push({
        id: chosen[0],
        name: chosen[0],
        timeSpentMs: 0,
        status: TestStatus.Failed,
        failureMessage: `${error}`,
      });
    }
    const timeout = determineHitLimitReached(this.#global.hitCount, mutant.hitLimit);
    Object.assign(this.#global, { activeMutant: undefined, hitCount: undefined, hitLimit: undefined });
    const last = results.at(-1);
    if (last?.status === TestStatus.Failed && !wasFresh) {
      // A long test fails soon but passes slowly: loading everything again costs less.
      const isLong = this.#times[last.id] > RELOAD_MS;
      if (isLong || (await this.#run(this.#tests.get(last.id))).status === TestStatus.Failed) {
        chosen.sort((a, b) => Number(b === last.id) - Number(a === last.id));
        return undefined;
      }
    }
    return toMutantRunResult(timeout ?? { status: DryRunStatus.Complete, tests: results });
  }

  /** Puts the test that killed a mutant before the others: it may kill the next one of the file. */
  #remember(file, killers, killedBy) {
    const short = [killedBy ?? []].flat().filter(id => this.#times[id] <= KILLER_MS);
    this.#killers.set(file, [...new Set([...short, ...killers])].slice(0, KILLERS));
  }

  /** Forgets all modules: the next test loads its files again, with variables as at the start. */
  #renew() {
    this.#generation++;
    this.#tests.clear();
    this.#isFresh = true;
  }

  async #load(file) {
    for (const test of this.#tests.values()) if (test.file === file) return;
    const url = `${pathToFileURL(resolve(this.#root, file)).href}?generation=${this.#generation}`;
    for (const test of await this.#harness.loadTests(file, url, this.#leftOut)) this.#tests.set(test.id, test);
  }

  async #run(test) {
    const start = process.cpuUsage();
    const error = await this.#harness.runTest(test);
    // of the processor, not of a clock: other work on the machine does not count
    const { user, system } = process.cpuUsage(start);
    const result = {
      id: test.id,
      name: test.id,
      fileName: resolve(this.#root, test.file),
      timeSpentMs: (user + system) / 1000,
    };
    return error === undefined
      ? { ...result, status: TestStatus.Success }
      : { ...result, status: TestStatus.Failed, failureMessage: String(error?.message ?? error).slice(0, 300) };
  }
}

/** Returns the statuses in a log of LogReporter; none without one. */
function readLog(path) {
  if (path === undefined || !existsSync(path)) return new Map();
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return new Map(lines.map(line => JSON.parse(line)).map(each => [identityOf(each, 0), each.status]));
}

/** @param offset to add to lines and columns: Stryker counts them from 0, and reports from 1 */
function identityOf({ fileName, location, mutatorName, replacement }, offset) {
  const places = [location.start, location.end].flatMap(({ line, column }) => [line + offset, column + offset]);
  return JSON.stringify([fileName.slice(fileName.indexOf('/src/')), places, mutatorName, replacement]);
}

/** Decides by what a mutant is, so that each process, and each later run, chooses the same ones. */
function isSampled({ fileName, location, replacement }, { seed, percent }) {
  const { line, column } = location.start;
  const digest = createHash('sha256').update(
    [seed, fileName.slice(fileName.indexOf('/src/')), line, column, replacement].join(),
  );
  return percent === 100 || digest.digest().readUInt32BE() / 2 ** 32 < percent / 100;
}

/** Writes each result at once: a run that is interrupted is a smaller sample. */
class LogReporter {
  static inject = [commonTokens.options];
  #path;

  constructor(options) {
    this.#path = options.wireguardTests.log;
  }

  onMutantTested({ fileName, location, mutatorName, replacement, status, statusReason }) {
    if (statusReason?.includes(NOT_SAMPLED)) return;
    appendFileSync(this.#path, `${JSON.stringify({ fileName, location, mutatorName, replacement, status })}\n`);
  }
}

const fileOf = id => id.slice(0, id.indexOf('#'));

/** Leaves the words of error messages alone: tests hold what they must name, not each word. */
const messages = {
  shouldIgnore(path) {
    if (!path.isStringLiteral() && !path.isTemplateLiteral()) return undefined;
    const isError = path.findParent(parent => parent.isNewExpression() && /Error$/.test(parent.node.callee.name));
    return isError ? 'the words of an error message' : undefined;
  },
};

export const strykerPlugins = [
  declareClassPlugin(PluginKind.TestRunner, 'one-process', OneProcessRunner),
  declareClassPlugin(PluginKind.Reporter, 'log', LogReporter),
  declareValuePlugin(PluginKind.Ignore, 'messages', messages),
];
