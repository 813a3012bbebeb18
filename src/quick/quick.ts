/**
 * `up`, `down` and `save` from beginning to end: what was left is read, the link is made, PreUp runs (it may bring about the very network
 * that the rest is planned for), the kernel is read, a plan is made and applied. An `up` that fails takes back what it did; one that was
 * killed is healed by the next, or taken away by `down`.
 */
import type { DeviceConfig } from '../config/model.ts';
import type { Zones } from '../config/zones.ts';
import { Applier, hookKey } from './apply.ts';
import type { HookEvent, QuickFile } from './file.ts';
import { isOurs, supposedState } from './plan-down.ts';
import { planLink } from './plan-up.ts';
import { planFor } from './planning.ts';
import type { QuickHost } from './ports.ts';
import { notWireguard, problem } from './problem.ts';
import { endpointsOf, planReload, reload } from './reload.ts';
import { forget, readAgain, takeAway } from './removal.ts';
import { formatQuickFile } from './save.ts';
import { readSnapshot, type Snapshot } from './snapshot.ts';
import type { QuickState } from './state.ts';
import type { Step } from './step.ts';
import { isIpv6Off } from './surroundings.ts';

export interface QuickTarget {
  readonly file: QuickFile;
  /** The file's absolute path. */
  readonly path: string;
  /** Another one for another content of the file. */
  readonly version?: string;
  readonly zones: Zones;
}

export interface UpTarget extends QuickTarget {
  /** What the file says of the device, its endpoints' names resolved; asked once, after PreUp. */
  readonly resolve: () => Promise<DeviceConfig>;
  /** The same without waiting for a name server: names that cannot be resolved now are left out. */
  readonly resolveNow?: () => Promise<DeviceConfig>;
  /** Asked before each step: true ends it, and what was done is taken back. */
  readonly interrupted?: () => boolean;
}

export { reload };

/** Among the hooks that are done. */
const SAVED = 'SaveConfig';

/** @throws Error: `code` EEXIST if the interface is there; otherwise what failed, and all is taken back */
export async function up(host: QuickHost, target: UpTarget): Promise<QuickState> {
  const { file, path } = target;
  let before = host.readState(file.name);
  const link = await host.network.links.find(file.name);
  if (link && (!before || before.phase === 'up' || !isOurs(link, before)))
    throw problem('EEXIST', `\`${file.name}' already exists${await howItIs(host, target, before)}`);
  if (before?.phase === 'stopping') {
    await finishDown(host, target);
    before = undefined;
  }
  const backend = await host.devices.choose();
  // all hooks run again for an interface that is no longer there, and for another file
  const same = before?.phase === 'starting' && before.fileVersion === target.version;
  const status = link && before ? await host.devices.status(file.name) : undefined;
  const left: QuickState = { version: 1, name: file.name, hooksDone: [], ...before, phase: 'starting', file: path };
  const applier = new Applier(host, left, { interrupted: target.interrupted });
  try {
    await applier.run([
      { do: 'remember', change: { phase: 'starting', fileVersion: target.version } },
      ...planLink(backend, same ? before : undefined, { ...(before && link && { link }), ...(status && { status }) }),
    ]);
    // once one of these has run, all before it was done, and may have been changed by it
    const past = applier.state.hooksDone.some(key => key.startsWith('PostUp '));
    await applier.run(hooks('PreUp', file, applier.state));
    await applier.run([
      ...(past ? [] : await planFor(host, { ...target, backend, before: applier.state })),
      ...hooks('PostUp', file, applier.state),
      { do: 'remember', change: { phase: 'up', hooksDone: [], endpoints: endpointsOf(file) } },
    ]);
    return applier.state;
  } catch (error) {
    await takeBack(host, applier);
    throw error;
  }
}

/** Says what differs between the file and an interface that is up. @returns the rest of a sentence */
async function howItIs(host: QuickHost, target: UpTarget, before: QuickState | undefined): Promise<string> {
  const { name } = target.file;
  if (before?.phase !== 'up') return ', and wgts up did not make it';
  try {
    const resolve = target.resolveNow ?? target.resolve;
    const plan = await planReload(host, { ...target, resolve });
    if (plan.differences.length === 0) return ', and is as its file says';
    for (const line of plan.differences) host.say(`differs from ${target.path}: ${line}`);
    return `, and differs from its file: \`wgts reload ${name}' changes what differs, and sessions live on`;
  } catch (error) {
    return `; what differs from its file cannot be told: ${(error as Error).message}`;
  }
}

/** What an earlier `down` was killed over. A PostDown that fails is no reason not to come up. */
async function finishDown(host: QuickHost, target: UpTarget): Promise<void> {
  try {
    await down(host, target);
  } catch (error) {
    if (host.readState(target.file.name)) throw error;
    host.warn((error as Error).message);
  }
}

export interface DownOptions {
  /** There is no second chance: what would leave the interface up, for a person to look at, is a warning too. */
  readonly isFinal?: boolean;
}

/**
 * Takes an interface down. A PreDown that fails leaves it up; after that everything is tried, and what fails is a warning.
 * @throws Error: `code` ENODEV if there is nothing to take down, EPROGRAM if a hook failed; what failed otherwise if the interface is
 * still there, and another `down` goes on from there
 */
export async function down(host: QuickHost, target: QuickTarget, { isFinal = false }: DownOptions = {}): Promise<void> {
  const { file } = target;
  const now = await readAgain(host, file.name);
  const state = host.readState(file.name) ?? supposed(target, now);
  const alive = now.link !== undefined && now.status !== undefined;
  const done: Readonly<Record<QuickState['phase'], readonly string[]>> = {
    // half of one is nothing to save
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
    host.warn(alive ? error.message : `${error.message} (${file.name} was gone already)`);
  };
  try {
    await runHooks(applier, hooks('PreDown', file, applier.state), alive && !isFinal ? undefined : onFailure);
  } catch (error) {
    host.warn(`${file.name} is left up, for PreDown failed`);
    // nothing is undone yet
    await applier.run([{ do: 'remember', change: { phase: state.phase, hooksDone: state.hooksDone } }]);
    throw error;
  }
  if (file.saveConfig && !applier.state.hooksDone.includes(SAVED)) {
    if (!alive) host.warn(`SaveConfig: ${file.name} was gone already, nothing is saved`);
    else await saveOrRescue(host, target, applier, isFinal);
    await applier.run([{ do: 'remember', change: { hooksDone: [...applier.state.hooksDone, SAVED] } }]);
  }
  await takeAway(host, applier);
  await runHooks(applier, hooks('PostDown', file, applier.state), onFailure);
  forget(host, file.name);
  if (alive && failures[0]) throw problem('EPROGRAM', `${file.name} is down, but ${failures[0].message}`);
}

/** @throws Error: `code` ENODEV if the interface is not there */
export async function save(host: QuickHost, target: QuickTarget): Promise<void> {
  const { name } = target.file;
  const state = host.readState(name) ?? supposed(target, await readSnapshot(host, name));
  const step = await planSave(host, target, state);
  await new Applier(host, state).run([step]);
}

/** Everything of an interface whose file is gone; its hooks cannot run. */
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

/** What cannot be saved in the file's place is kept beside the state, so that the interface can go without losing it. */
async function saveOrRescue(host: QuickHost, target: QuickTarget, applier: Applier, isFinal: boolean): Promise<void> {
  const { name } = target.file;
  try {
    const step = await planSave(host, target, applier.state);
    try {
      await applier.run([step]);
    } catch (error) {
      const place = host.rescueFile(name, step.text);
      host.warn(`SaveConfig: ${(error as Error).message}; what ${name} was is kept in ${place}`);
    }
  } catch (error) {
    if (!isFinal) throw error;
    host.warn(`SaveConfig: nothing is saved: ${(error as Error).message}`);
  }
}

function supposed({ file, path }: QuickTarget, now: Snapshot): QuickState {
  if (!now.link || !now.status) throw notWireguard(file.name);
  return supposedState(file, now.status, now, path);
}

function hooks(event: HookEvent, { hooks: all }: QuickFile, { hooksDone }: QuickState): Step[] {
  return all[event]
    .map((command, index) => ({ do: 'hook', event, index, command }) as const)
    .filter(step => !hooksDone.includes(hookKey(step)));
}

/** @param onFailure is told, and the others run; without it the first failure ends all */
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

/** What fails here too is only a warning: the cause of all of it matters more. */
async function takeBack(host: QuickHost, { state }: Applier): Promise<void> {
  try {
    await takeAway(host, new Applier(host, state, { isForgetful: true }));
    forget(host, state.name);
  } catch (error) {
    host.warn(
      `${state.name} could not be taken away again, \`wgts down\` tries once more: ${(error as Error).message}`,
    );
  }
}
