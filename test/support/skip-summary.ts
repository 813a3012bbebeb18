/**
 * A vitest reporter that ends a run with the skipped tests in groups, and one line that installs
 * what is missing. With TEST_COUNTS=FILE it also writes the counts as JSON, for CI.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';
import type {} from '../netns/needs.ts';
import { type Remedies, remedies } from './machine.ts';
import { APART, SLOW } from './selection.ts';

/** Tests that were skipped for one reason. */
export interface NotRun {
  readonly title: string;
  /** Unknown for a suite that was not loaded. */
  readonly tests?: number;
  readonly files: number;
  /** What is missing, or the command that runs them. */
  readonly note: string;
}

export interface Counts {
  readonly passed: number;
  /** Includes files that could not be loaded, and errors outside of tests. */
  readonly failed: number;
  /** Selected but skipped, because something is missing or by the test itself. */
  readonly skipped: readonly string[];
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const UNEXPLAINED_TITLE = 'by the test itself';
const SLOW_TITLE = 'slow by nature';

export class SkipSummary implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const vitest = this.#vitest!;
    const everyName = vitest.config.testNamePattern === undefined;
    const file = process.env['TEST_COUNTS'];
    if (file !== undefined) writeFileSync(file, JSON.stringify(countsOf(modules, errors.length)));
    // A developer who selects tests by name knows what is left out.
    if (!everyName) return;
    const notRun = [...skippedGroups(modules), ...suitesApart(vitest)];
    if (notRun.length > 0) vitest.logger.log(summaryOf(notRun, remedies()));
  }
}

/**
 * Formats the summary, which ends with the command that installs what is missing and runs
 * everything.
 */
export function summaryOf(notRun: readonly NotRun[], { packages, others }: Remedies): string {
  const width = Math.max(...notRun.map(({ title }) => title.length));
  const lines = notRun.map(({ title, tests, files, note }) => {
    const count = `${tests === undefined ? '' : `${counted(tests, 'test')} in `}${counted(files, 'file')}`;
    return `   ${title.padEnd(width)}  ${count.padEnd(22)}  ${note}`.trimEnd();
  });
  const install = packages.length > 0 ? `apt-get install --no-install-recommends ${packages.join(' ')} && ` : '';
  const also = others.length > 0 ? `\n Beside packages: ${others.join('; ')}.` : '';
  return ` Not run here:\n${lines.join('\n')}\n To run everything: ${install}npm run test:all${also}\n`;
}

function countsOf(modules: readonly TestModule[], errors: number): Counts {
  let passed = 0;
  let failed = errors;
  const skipped: string[] = [];
  for (const module of modules) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') passed++;
      else if (state === 'skipped' || state === 'pending') {
        if (reasonOf(test).title !== SLOW_TITLE) skipped.push(`${module.relativeModuleId} > ${test.fullName}`);
      } else failedHere++;
    }
    failed += failedHere || (module.state() === 'failed' ? 1 : 0);
  }
  return { passed, failed, skipped };
}

/** Returns groups by size, slow tests first. */
function skippedGroups(modules: readonly TestModule[]): NotRun[] {
  const groups = new Map<string, { tests: number; files: Set<string>; notes: Set<string> }>();
  for (const module of modules)
    for (const test of module.children.allTests('skipped')) {
      const { title, notes } = reasonOf(test);
      const group = groups.get(title) ?? { tests: 0, files: new Set(), notes: new Set() };
      groups.set(title, group);
      group.tests++;
      group.files.add(module.moduleId);
      for (const note of notes) group.notes.add(note);
    }
  return [...groups]
    .map(([title, { tests, files, notes }]) => ({
      title,
      tests,
      files: files.size,
      note: title === SLOW_TITLE ? 'npm run test:all' : notes.size > 0 ? `missing: ${[...notes].join(', ')}` : '',
    }))
    .sort((a, b) => Number(b.title === SLOW_TITLE) - Number(a.title === SLOW_TITLE) || b.tests - a.tests);
}

function reasonOf(test: TestCase): { readonly title: string; readonly notes: readonly string[] } {
  for (let task: TestCase | TestSuite | TestModule = test; task.type !== 'module'; task = task.parent) {
    const { lacking } = task.meta();
    if (lacking) return { title: lacking.group, notes: lacking.missing };
    // The tests of a failed suite do not run, and the failure is reported separately.
    if (task.type === 'suite' && task.errors().length > 0) return { title: 'after a failed set-up', notes: [] };
  }
  if (test.tags.includes(SLOW)) return { title: SLOW_TITLE, notes: [] };
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return { title: UNEXPLAINED_TITLE, notes: note === undefined ? [] : [note] };
}

/** Returns the suites that this run does not load. */
function suitesApart({ projects }: Vitest): NotRun[] {
  const running = new Set(projects.map(({ name }) => name));
  return APART.filter(({ name }) => !running.has(name)).map(({ title, folder, command }) => {
    const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    return { title, files: names.filter(name => name.endsWith('.test.ts')).length, note: command };
  });
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
