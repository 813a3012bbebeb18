/**
 * The part of `wgts up --watch` that runs once the interface is up. It notifies the service
 * manager, watches the interface and repairs it, and takes it down at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BackOff } from '../../base/back-off.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import { type DeviceStatus, eraseConfig } from '../../config/model.ts';
import { announceWatcher } from '../../host/device-watcher.ts';
import { withLock } from '../../host/interface-lock.ts';
import { watchInterface } from '../../host/interface-watch.ts';
import { isLinkLeft, restoreInterface } from '../../host/restore-interface.ts';
import { nativeBinding } from '../../io/native-binding.ts';
import { notifyManager } from '../../io/system.ts';
import { withKnownEndpoints } from '../../quick/adoption.ts';
import * as quick from '../../quick/quick.ts';
import { withCurrentEndpoints } from '../../quick/stale-endpoints.ts';
import type { Session } from '../quick-session.ts';
import { resolveAll } from '../resolve.ts';
import type { Terminal } from '../terminal.ts';

const INTERVAL_SECONDS = '30';
/**
 * An interface that ran for this long is brought up again at once. After a shorter run, the delay
 * grows.
 */
const STEADY_AFTER_MS = 2_000;
/**
 * How long to wait, at the end, for another wgts process to finish. This is shorter than the time
 * that containers get to stop.
 */
const LOCK_PATIENCE_MS = 5_000;
const PAUSES_MS = [500, 30_000] as const;

export interface KeepUpOptions {
  /** The value of NOTIFY_SOCKET. */
  readonly manager: string | undefined;
  /** Takes the interface down and ends the watch. */
  readonly signal: AbortSignal;
  /** Reads the file again. */
  readonly reread: () => Session['target'];
}

export async function keepUp(session: Session, terminal: Terminal, options: KeepUpOptions): Promise<number> {
  const { machine } = session;
  let { target } = session;
  const { name } = target.file;
  const { env, err, now } = terminal;
  const { manager, signal, reread } = options;
  let hangUp = new AbortController();
  const onHangUp = () => hangUp.abort();
  process.on('SIGHUP', onHangUp);
  const onUpgrade = () => void upgrade(machine, name);
  process.on('SIGUSR2', onUpgrade);
  const stopAnnouncing = announceWatcher(name);
  const notify = (text: string) => notifyManager(nativeBinding(), manager, text);
  notify(`READY=1\nSTATUS=${name} is up`);
  const backOff = new BackOff(...PAUSES_MS);
  /** The endpoints that the peers had last, also those that roamed, by key. */
  let known = new Map<string, Uint8Array>();
  for (;;) {
    // The device status that `up` or a reload has read is no longer needed.
    machine.devices.eraseSecrets();
    const since = performance.now();
    const end = await watchInterface({
      machine,
      file: target.file,
      interval: Number(env['WGTS_WATCH_INTERVAL'] ?? INTERVAL_SECONDS) * 1000,
      resolve: endpoint => resolveAll(endpoint, { retries: '0', err }),
      now,
      onStatus: status => {
        known = endpointsByKey(status);
      },
      signal: AbortSignal.any([signal, hangUp.signal]),
    });
    if (end === 'down' || signal.aborted) {
      process.off('SIGUSR2', onUpgrade);
      stopAnnouncing();
    }
    if (end === 'down') return 0;
    if (signal.aborted) break;
    if (end === 'stopped') {
      hangUp = new AbortController();
      target = await reload(machine, target, reread);
      continue;
    }
    machine.warn(`${name} is gone: its process ended`);
    if (performance.now() - since >= STEADY_AFTER_MS) backOff.reset();
    else await sleep(backOff.next(), undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    try {
      const recover: typeof target.recover = async recorded =>
        withKnownEndpoints(target.file, known.size > 0 ? known : recorded);
      await restoreInterface(machine, { ...target, recover }, { signal, backOff, patience: LOCK_PATIENCE_MS });
    } catch (error) {
      if (!signal.aborted) throw error;
      // The interface whose process died stays until it is taken down here.
      if (await isLinkLeft(machine, name)) break;
      // A signal arrived during `up`, which has undone its steps and reported this.
      machine.warn((error as Error).message);
      notify('STOPPING=1');
      return 0;
    }
  }
  notify('STOPPING=1');
  try {
    await withLock(name, () => quick.down(machine, target, { isFinal: true }), { patience: LOCK_PATIENCE_MS });
  } catch (error) {
    // The process that held the lock has already taken the interface down.
    if ((error as NodeJS.ErrnoException).code !== 'ENODEV') throw error;
  }
  return 0;
}

function endpointsByKey({ peers }: DeviceStatus): Map<string, Uint8Array> {
  return new Map(
    peers.flatMap(({ publicKey, endpoint }) => (endpoint ? [[formatKeyBase64(publicKey), endpoint]] : [])),
  );
}

/**
 * Reloads the file. If the file is invalid or the reload fails, the watched file stays the old one.
 */
async function reload(
  machine: Session['machine'],
  old: Session['target'],
  reread: KeepUpOptions['reread'],
): Promise<Session['target']> {
  let target = old;
  try {
    const next = reread();
    const { file } = next;
    const resolve = async () => {
      const wanted = await next.resolve();
      const status = await machine.devices.status(file.name);
      return status ? withCurrentEndpoints(wanted, file, old.file, status) : wanted;
    };
    await withLock(file.name, () =>
      quick.reload(machine, { ...next, resolve }).catch(error => {
        // Without an interface, there is nothing to change: it will come up with the new file.
        if (error.code !== 'ENODEV') throw error;
      }),
    );
    target = next;
    eraseConfig(old.file.wireguard);
  } catch (error) {
    machine.warn(`not reloaded: ${(error as Error).message}`);
  }
  return target;
}

/** Moves the interface to a process of the installed program. */
async function upgrade(machine: Session['machine'], name: string): Promise<void> {
  try {
    await withLock(name, async () => {
      const isTaken = await machine.devices.takeOver(name);
      machine.warn(
        isTaken
          ? `${name} was handed over to a new process`
          : `${name} was not upgraded: no process offers a hand-over (an interface of the kernel needs none)`,
      );
    });
  } catch (error) {
    machine.warn((error as Error).message);
  }
}
