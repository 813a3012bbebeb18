/**
 * The way back, done. Whatever fails is a warning, and everything else is tried: a host whose resolvconf is broken must get rid of its
 * tunnel all the same. What counts in the end is that the interface is gone.
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

/** Of a kernel that could not be read. */
const UNKNOWN: Snapshot = { addresses: [], routes: [], rules: [] };
/** Whether these are still to be done can be read from the kernel. */
const READABLE: ReadonlySet<Step['do']> = new Set(['remove-rule', 'remove-link', 'mark-valid']);

/**
 * Takes away all that is remembered, without hooks. The state stays.
 * @throws Error if the interface is still there, or the kernel cannot be read: another attempt goes on from here
 */
export async function takeAway(host: QuickHost, applier: Applier): Promise<void> {
  const { name } = applier.state;
  let now: Snapshot;
  try {
    now = await readAgain(host, name);
  } catch (error) {
    // src_valid_mark may be another tunnel's need, which only its rules would show
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

/** Forgets the interface: nothing is left of it. */
export function forget(host: QuickHost, name: string): void {
  try {
    host.removeState(name);
  } catch (error) {
    host.warn(`${name} is gone, but not what was remembered of it: ${(error as Error).message}`);
  }
}

/** Reads again once if the first read fails: a change can interrupt a dump. */
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
