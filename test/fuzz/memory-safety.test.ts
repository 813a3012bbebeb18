/**
 * The C code that splits and merges untrusted packets (native/offload.c, coalesce.c) under
 * AddressSanitizer and UndefinedBehaviorSanitizer, in a separate program (offload-driver.c). Needs
 * a C compiler with both. WG_FUZZ_RUNS and WG_FUZZ_SEED as in support/seeded-cases.ts.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { testWith } from '../netns/needs.ts';
import { CASES, CASES_LIMIT, SEED } from '../support/seeded-cases.ts';

const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url));
/** The native files that do not depend on Node. */
const SOURCES = ['offload.c', 'coalesce.c', 'flow.c', 'sum.c'].map(name => join(NATIVE, name)).filter(existsSync);
const DRIVER = fileURLToPath(new URL('offload-driver.c', import.meta.url));
const FLAGS = ['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
const directory = mkdtempSync(join(tmpdir(), 'wireguard-driver-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** @returns the reason, if this machine cannot run the test */
function build(program: string, ...sources: string[]): string | undefined {
  try {
    execFileSync(process.env['CC'] ?? 'cc', [...FLAGS, `-I${NATIVE}`, ...sources, '-o', program], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return (error as { stderr?: Buffer }).stderr?.toString() || (error as Error).message;
  }
}

testWith(
  ['cc', 'libasan'],
  'no byte beyond a packet is read or written, nothing undefined is done',
  () => {
    const program = join(directory, 'driver');
    const problem = build(program, DRIVER, ...SOURCES);
    expect(problem).toBeUndefined();
    const printed = execFileSync(program, [String(CASES), String(SEED)], { encoding: 'utf8' });
    console.log(printed.trim());
    expect(printed).toContain('no fault');
  },
  CASES_LIMIT,
);
