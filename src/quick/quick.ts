/**
 * `up`, `down` and `save` from beginning to end. `up` reads the recorded state, makes the link,
 * runs PreUp (which may create the network that the rest depends on), reads the kernel, plans, and
 * applies the plan. An `up` that fails rolls back, except if it adopts a link whose process died.
 * An `up` that was killed is completed by the next `up` or removed by `down`.
 */
import type { Link } from '../netlink/links.ts';
import { isOrphan } from '../netlink/orphan.ts';
import { adoptionState, isAdoptable, parseResolved, STAYS } from './adoption.ts';
import { Applier, hookKey } from './apply.ts';
import type { HookEvent, QuickFile } from './file.ts';
import { isIpv6Off } from './ipv6.ts';
import { isOurs, stateOfOrphan, stateOfOthers } from './plan-down.ts';
import { planLink } from './plan-link.ts';
import { planFor } from './planning.ts';
import type { QuickHost, QuickTarget, UpTarget } from './ports.ts';
import { notWireguard, problem } from './problem.ts';
import { endpointsOf, planReload, reload } from './reload.ts';
import { formatQuickFile } from './save.ts';
import { readSnapshot, type Snapshot } from './snapshot.ts';
import type { QuickState } from './state.ts';
import type { Step } from './step.ts';
import { forget, readAgain, takeAway } from './teardown.ts';

export { reload };

/** Marks SaveConfig as done, in the list of completed hooks. */
const SAVED = 'SaveConfig';

/**
 * Brings an interface up.
 * @throws Error: `code` EEXIST if the interface exists; otherwise the cause of the failure, after
 * the rollback
 */
export async function up(host: QuickHost, target: UpTarget): Promise<QuickState> {
  const { file, path } = target;
  let before = host.readState(file.name);
  let link = await host.network.links.find(file.name);
  if (link && !isOrphan(link) && (!before || before.phase === 'up' || !isOurs(link, before)))
    throw problem('EEXIST', `\`${file.name}' already exists${await describeDifferences(host, target, before)}`);
  if (before?.phase === 'stopping') {
    await finishDown(host, target);
    before = undefined;
    link = await host.network.links.find(file.name);
  }
  const adopts = isAdoptable(link, before, target);
  const backend = adopts ? 'userspace' : await host.devices.choose();
  if (link && isOrphan(link) && !adopts) {
    await removeOrphan(host, target, link);
    before = undefined;
    link = undefined;
  }
  // If the interface no longer exists or its file has changed, all hooks run again.
  const same = adopts || (before?.phase === 'starting' && before.fileVersion === target.version);
  if (adopts) before = adoptionState(before!, file);
  const status = link && before ? await host.devices.status(file.name) : undefined;
  const left: QuickState = { version: 1, name: file.name, hooksDone: [], ...before, phase: 'starting', file: path };
  const afterwards = left.adopting ? STAYS : undefined;
  const applier = new Applier(host, left, { interrupted: target.interrupted, ...(afterwards && { afterwards }) });
  try {
    await applier.run([
      { do: 'remember', change: { phase: 'starting', fileVersion: target.version } },
      ...planLink(backend, same ? before : undefined, { ...(before && link && { link }), ...(status && { status }) }),
    ]);
    // If PostUp was completed, so was the plan. Hooks may have changed its results since then.
    const { adopting, hooksDone, resolved } = applier.state;
    const past = !adopting && hooksDone.some(key => key.startsWith('PostUp '));
    await applier.run(hooks('PreUp', file, applier.state));
    const { recover } = target;
    const resolve = adopting && recover ? () => recover(parseResolved(resolved)) : target.resolve;
    await applier.run([
      ...(past ? [] : await planFor(host, { ...target, resolve, backend, before: applier.state })),
      ...hooks('PostUp', file, applier.state),
      { do: 'remember', change: { phase: 'up', hooksDone: [], adopting: undefined, endpoints: endpointsOf(file) } },
    ]);
    return applier.state;
  } catch (error) {
    // Without its link, the traffic of an interface that was up would leave in the clear.
    if (applier.state.adopting) throw staying(error as Error);
    await rollBack(host, applier);
    throw error;
  }
}

function staying(error: Error): Error {
  return error.message.includes(STAYS) ? error : Object.assign(error, { message: `${error.message}; ${STAYS}` });
}

/** Removes a link whose process died, with everything that its `up` made. */
async function removeOrphan(host: QuickHost, target: UpTarget, link: Link): Promise<void> {
  if (host.readState(target.file.name)) return finishDown(host, target);
  await host.network.links.remove(link);
  await host.devices.removeStaleSocket(link.name);
}

/** Describes how an interface that is up differs from the file. @returns the end of a sentence */
async function describeDifferences(host: QuickHost, target: UpTarget, before: QuickState | undefined): Promise<string> {
  const { name } = target.file;
  if (before?.phase !== 'up') return ', and wgts up did not create it';
  try {
    const resolve = target.resolveNow ?? target.resolve;
    const plan = await planReload(host, { ...target, resolve });
    if (plan.differences.length === 0) return ', and matches its file';
    for (const line of plan.differences) host.say(`differs from ${target.path}: ${line}`);
    return `, and differs from its file: \`wgts reload ${name}' changes only what differs, and sessions survive`;
  } catch (error) {
    return `; it cannot be compared with its file: ${(error as Error).message}`;
  }
}

/** Completes a `down` that was killed. A failing PostDown does not prevent `up`. */
async function finishDown(host: QuickHost, target: UpTarget): Promise<void> {
  try {
    await down(host, target);
  } catch (error) {
    if (host.readState(target.file.name)) throw error;
    host.warn((error as Error).message);
  }
}

export interface DownOptions {
  /**
   * Whether this is the last attempt: a failure that would leave the interface up becomes a
   * warning.
   */
  readonly isFinal?: boolean;
}

/**
 * Takes an interface down. If PreDown fails, the interface stays up. After PreDown, every step is
 * tried, and failures are warnings.
 * @throws Error: `code` ENODEV if there is nothing to take down; EPROGRAM if a hook failed; another
 * error if the interface still exists, and the next `down` continues from there
 */
export async function down(host: QuickHost, target: QuickTarget, { isFinal = false }: DownOptions = {}): Promise<void> {
  const { file } = target;
  const now = await readAgain(host, file.name);
  const state = host.readState(file.name) ?? assumedState(target, now);
  const alive = now.link !== undefined && now.status !== undefined;
  const done: Readonly<Record<QuickState['phase'], readonly string[]>> = {
    // A half-configured interface must not overwrite the file.
    starting: [SAVED],
    up: [],
    stopping: state.hooksDone,
  };
  const left = { ...state, file: target.path, hooksDone: done[state.phase] };
  const applier = new Applier(host, left, { isForgetful: true });
  await applier.run([{ do: 'remember', change: { phase: 'stopping' } }]);
  const failures: Error[] = [];
  const onFailure = (error: Error): void => {
    failures.push(error);
    host.warn(alive ? error.message : `${error.message} (${file.name} had already disappeared)`);
  };
  try {
    await runHooks(applier, hooks('PreDown', file, applier.state), alive && !isFinal ? undefined : onFailure);
  } catch (error) {
    host.warn(`${file.name} stays up because PreDown failed`);
    // Nothing has been removed yet.
    await applier.run([{ do: 'remember', change: { phase: state.phase, hooksDone: state.hooksDone } }]);
    throw error;
  }
  if (file.saveConfig && !applier.state.hooksDone.includes(SAVED)) {
    if (!alive) host.warn(`SaveConfig: ${file.name} had already disappeared, so nothing is saved`);
    else await saveOrRescue(host, target, applier, isFinal);
    await applier.run([{ do: 'remember', change: { hooksDone: [...applier.state.hooksDone, SAVED] } }]);
  }
  await takeAway(host, applier);
  await runHooks(applier, hooks('PostDown', file, applier.state), onFailure);
  forget(host, file.name);
  if (alive && failures[0]) throw problem('EPROGRAM', `${file.name} is down, but ${failures[0].message}`);
}

/**
 * Saves the state of an interface in its file. @throws Error: `code` ENODEV if the interface does
 * not exist
 */
export async function save(host: QuickHost, target: QuickTarget): Promise<void> {
  const { name } = target.file;
  const state = host.readState(name) ?? assumedState(target, await readSnapshot(host, name));
  const step = await planSave(host, target, state);
  await new Applier(host, state).run([step]);
}

/** Removes an interface whose file no longer exists. Its hooks cannot run. */
export async function downWithoutFile(host: QuickHost, state: QuickState): Promise<void> {
  const applier = new Applier(host, state, { isForgetful: true });
  await applier.run([{ do: 'remember', change: { phase: 'stopping' } }]);
  await takeAway(host, applier);
  forget(host, state.name);
}

async function planSave(
  host: QuickHost,
  { file, path, zones }: QuickTarget,
  state: QuickState,
): Promise<Extract<Step, { do: 'save' }>> {
  const { link, status, addresses } = await readSnapshot(host, file.name);
  if (!link || !status) throw notWireguard(file.name);
  const ownMark = file.wireguard.fwmark ? undefined : state.policy?.table;
  return {
    do: 'save',
    path,
    text: formatQuickFile(
      file,
      { status, addresses, mtu: link.mtu, ownMark, lacksIpv6: state.lacksIpv6 || isIpv6Off(host, file.name) },
      zones,
    ),
  };
}

/**
 * Saves the interface. If the file cannot be replaced, the text is stored beside the state, so that
 * the interface can be removed without losing it.
 */
async function saveOrRescue(host: QuickHost, target: QuickTarget, applier: Applier, isFinal: boolean): Promise<void> {
  const { name } = target.file;
  try {
    const step = await planSave(host, target, applier.state);
    try {
      await applier.run([step]);
    } catch (error) {
      const place = host.rescueFile(name, step.text);
      host.warn(`SaveConfig: ${(error as Error).message}; the configuration of ${name} is kept in ${place}`);
    }
  } catch (error) {
    if (!isFinal) throw error;
    host.warn(`SaveConfig: nothing is saved: ${(error as Error).message}`);
  }
}

function assumedState({ file, path }: QuickTarget, now: Snapshot): QuickState {
  if (now.link && isOrphan(now.link)) return stateOfOrphan(file, now, path);
  if (!now.link || !now.status) throw notWireguard(file.name);
  return stateOfOthers(file, now.status, now, path);
}

function hooks(event: HookEvent, { hooks: all }: QuickFile, { hooksDone }: QuickState): Step[] {
  return all[event]
    .map((command, index) => ({ do: 'hook', event, index, command }) as const)
    .filter(step => !hooksDone.includes(hookKey(step)));
}

/**
 * Runs hooks.
 * @param onFailure receives each error, and the remaining hooks still run. Without this callback,
 * the first failure stops the hooks.
 */
async function runHooks(
  applier: Applier,
  steps: readonly Step[],
  onFailure: ((error: Error) => void) | undefined,
): Promise<void> {
  for (const step of steps)
    try {
      await applier.run([step]);
    } catch (error) {
      if (!onFailure) throw error;
      onFailure(error as Error);
    }
}

/**
 * Rolls back. Errors of the rollback are only warnings, because the original error matters more.
 */
async function rollBack(host: QuickHost, { state }: Applier): Promise<void> {
  try {
    await takeAway(host, new Applier(host, state, { isForgetful: true }));
    forget(host, state.name);
  } catch (error) {
    host.warn(`${state.name} could not be removed again; \`wgts down\` tries once more: ${(error as Error).message}`);
  }
}
