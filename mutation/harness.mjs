// The part of vitest that the fast tests use, without its process: files are loaded once, and then
// each test can run thousands of times, for one mutant after the other. `expect` is vitest's own.
import { format } from 'node:util';
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
} from '@vitest/expect';

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);
export const expect = (value, message) => chai.expect(value, message);
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT]);
globalThis[GLOBAL_EXPECT] = expect;

const newSuite = (name, parent) => ({ name, parent, beforeAll: [], beforeEach: [], afterEach: [] });
/** The tests of the file that is being loaded: `id`, `file`, `suite`, `body`. */
let tests = [];
let suite;
let file;

/** Loads a test file. @returns its tests, but not those whose names contain one of the texts */
export async function loadTests(path, url, leftOut = []) {
  file = path;
  suite = newSuite('', undefined);
  tests = [];
  await import(url);
  return tests.filter(({ id }) => !leftOut.some(text => id.includes(text)));
}

/** Returns the error of a test, or undefined if it passes. */
export async function runTest(test) {
  const suites = [];
  for (let each = test.suite; each; each = each.parent) suites.unshift(each);
  try {
    for (const each of suites) {
      for (const hook of each.beforeAll.splice(0)) await hook();
      for (const hook of each.beforeEach) await hook();
    }
    await test.body();
  } catch (error) {
    return error ?? new Error('nothing was thrown');
  } finally {
    for (const each of suites.reverse()) for (const hook of each.afterEach) await hook();
  }
}

const hook = name => body => suite[name].push(body);
export const beforeAll = hook('beforeAll');
/** A test may always run once more, so the end comes with the process. */
export const afterAll = body => process.once('exit', body);
export const beforeEach = hook('beforeEach');
export const afterEach = hook('afterEach');

export const describe = withEach((name, body) => {
  suite = newSuite(name, suite);
  try {
    const result = body();
    if (result instanceof Promise) throw new Error(`${file}: ${name} is an async suite, which the harness has not`);
  } finally {
    suite = suite.parent;
  }
});

export const test = withEach((name, body) => {
  const names = [name];
  for (let each = suite; each.parent; each = each.parent) names.unshift(each.name);
  const id = `${file}#${names.join(' > ')}`;
  const twins = tests.filter(other => other.id === id || other.id.startsWith(`${id} #`)).length;
  tests.push({ id: twins === 0 ? id : `${id} #${twins + 1}`, file, suite, body });
});
export const it = test;

/** Adds the forms with options, and `.each`. Skipped and slow ones are left out. */
function withEach(add) {
  const addAny = (name, ...rest) => {
    const options = rest.find(argument => typeof argument === 'object') ?? {};
    const body = rest.find(argument => typeof argument === 'function');
    if (!options.skip && ![options.tags ?? []].flat().includes('slow')) add(name, body);
  };
  addAny.each =
    rows =>
    (name, ...rest) => {
      const at = rest.findIndex(argument => typeof argument === 'function');
      for (const [i, row] of rows.entries()) {
        const values = Array.isArray(row) ? row : [row];
        const title = format(name, ...values.slice(0, name.match(/%[sdifjoO]/g)?.length ?? 0));
        addAny(`${title} [${i}]`, ...rest.with(at, () => rest[at](...values)));
      }
    };
  return addAny;
}
