/**
 * Executes the removal. Each failed step becomes a warning, and all other steps are still tried: a
 * host with a broken resolvconf must still get rid of its tunnel. The removal succeeds if the
 * interface is gone.
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

/** A snapshot for a kernel whose state cannot be read. */
const UNKNOWN: Snapshot = { addresses: [], routes: [], rules: [] };
/** Steps for which the kernel's state shows whether they are still needed. */
const READABLE: ReadonlySet<Step['do']> = new Set(['remove-rule', 'remove-link', 'mark-valid']);

/**
 * Removes everything that the state records, without hooks. The state file stays.
 * @throws Error if the interface still exists or the kernel cannot be read; another attempt
 * continues from there
 */
export async function takeAway(host: QuickHost, applier: Applier): Promise<void> {
  const { name } = applier.state;
  let now: Snapshot;
  try {
    now = await readAgain(host, name);
  } catch (error) {
    // Skip src_valid_mark: another tunnel may need it, and only that tunnel's rules would show
    // this.
    const blind = planRemoval(applier.state, UNKNOWN).filter(step => step.do !== 'mark-valid');
    await attempt(host, applier, blind);
    throw error;
  }
  const failures = await attempt(host, applier, planRemoval(applier.state, now));
  await host.devices.removeStaleSocket(name).catch((error: Error) => host.warn(error.message));
  if (!failures.some(({ step }) => READABLE.has(step.do))) return;
  const left = planRemoval(applier.state, await readAgain(host, name)).filter(step => READABLE.has(step.do));
  const link = (await attempt(host, applier, left)).find(({ step }) => step.do === 'remove-link');
  if (!link) return;
  const there = await host.network.links.find(name);
  if (there && isOurs(there, applier.state)) throw link.error;
}

/** Deletes the recorded state of an interface that was removed completely. */
export function forget(host: QuickHost, name: string): void {
  try {
    host.removeState(name);
  } catch (error) {
    host.warn(`${name} is gone, but its recorded state is not: ${(error as Error).message}`);
  }
}

/**
 * Reads the kernel's state. If the first read fails, reads once more, because a concurrent change
 * can interrupt a dump.
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
