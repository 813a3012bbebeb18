/**
 * Executes the removal. Every failure is a warning and every other step is tried: a host with a
 * broken resolvconf must still get rid of its tunnel. Success means that the interface is gone.
 */
import type { Applier } from './apply.ts';
import { isOurs, planRemoval } from './plan-down.ts';
import type { QuickHost } from './ports.ts';
import { readSnapshot, type Snapshot } from './snapshot.ts';
import { describeStep, type Step } from './step.ts';

interface Failure {
  readonly step: Step;
  readonly error: Error;
}

/** Stands for a kernel whose state could not be read. */
const UNKNOWN: Snapshot = { addresses: [], routes: [], rules: [] };
/** The observed state shows whether these steps are still needed. */
const READABLE: ReadonlySet<Step['do']> = new Set(['remove-rule', 'remove-link', 'mark-valid']);

/**
 * Removes everything recorded, without hooks. The state file stays.
 * @throws Error if the interface still exists or the kernel cannot be read; another attempt
 * continues from here
 */
export async function takeAway(host: QuickHost, applier: Applier): Promise<void> {
  const { name } = applier.state;
  let now: Snapshot;
  try {
    now = await readAgain(host, name);
  } catch (error) {
    // Another tunnel may need src_valid_mark; only its rules would show that.
    const blind = planRemoval(applier.state, UNKNOWN).filter(step => step.do !== 'mark-valid');
    await attempt(host, applier, blind);
    throw error;
  }
  const failures = await attempt(host, applier, planRemoval(applier.state, now));
  if (!failures.some(({ step }) => READABLE.has(step.do))) return;
  const left = planRemoval(applier.state, await readAgain(host, name)).filter(step => READABLE.has(step.do));
  const link = (await attempt(host, applier, left)).find(({ step }) => step.do === 'remove-link');
  if (!link) return;
  const there = await host.network.links.find(name);
  if (there && isOurs(there, applier.state)) throw link.error;
}

/** Deletes the state of an interface of which nothing is left. */
export function forget(host: QuickHost, name: string): void {
  try {
    host.removeState(name);
  } catch (error) {
    host.warn(`${name} is gone, but its recorded state is not: ${(error as Error).message}`);
  }
}

/**
 * Reads the kernel's state, and once more if the first read fails: a concurrent change can
 * interrupt a dump.
 */
export async function readAgain(host: QuickHost, name: string): Promise<Snapshot> {
  try {
    return await readSnapshot(host, name);
  } catch (error) {
    host.warn((error as Error).message);
    return readSnapshot(host, name);
  }
}

async function attempt(host: QuickHost, applier: Applier, steps: readonly Step[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const step of steps)
    try {
      await applier.run([step]);
    } catch (error) {
      failures.push({ step, error: error as Error });
      host.warn(`${describeStep(step, applier.state.name) ?? step.do}: ${(error as Error).message}`);
    }
  return failures;
}
