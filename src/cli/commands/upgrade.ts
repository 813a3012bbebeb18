/**
 * `wgts upgrade`: starts the installed program for a running interface, as a new process that takes
 * the interface over. If `wgts up --watch` keeps the interface up, asks that process to do it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { codedError } from '../../base/coded-error.ts';
import { startInBackground } from '../../daemon/background.ts';
import { pidOf } from '../../daemon/device-owner.ts';
import { findWatcher } from '../../host/device-watcher.ts';
import {
  handOverNames,
  isHere,
  type RunningDeviceProcess,
  readDeviceProcess,
  successorEnvironment,
} from '../../host/running-devices.ts';
import { upgrade as model } from '../help/texts/upgrade.ts';
import { wireguardTs } from '../help/texts/wireguard-ts.ts';
import { interfaceArgument } from '../interface-argument.ts';
import { parseOptions } from '../parse-options.ts';
import type { Command } from '../terminal.ts';

/** Options that belong to one start. */
const ONCE = new Set(['foreground', 'take-over']);
const WATCHER_LIMIT_MS = 60_000;
const LOOK_MS = 50;

export const upgrade: Command = async (args, terminal) => {
  const { positionals } = parseOptions(model, args, { most: 1 });
  const [given] = positionals;
  if (given !== undefined) {
    terminal.out(`${await upgradeOne(interfaceArgument(given))}\n`);
    return 0;
  }
  const names = handOverNames().filter(name => {
    const pid = pidOf(name);
    return pid !== undefined && isHere(pid) !== false;
  });
  if (names.length === 0) terminal.out('no interface of wireguard-ts runs in this network namespace\n');
  let status = 0;
  for (const name of names)
    try {
      terminal.out(`${await upgradeOne(name)}\n`);
    } catch (error) {
      terminal.err(`wgts: ${name}: ${(error as Error).message}\n`);
      status = 1;
    }
  return status;
};

/** Upgrades one interface. @returns what was done, for people */
async function upgradeOne(name: string): Promise<string> {
  const old = pidOf(name);
  if (old === undefined)
    throw codedError(
      'ENODEV',
      `no process offers a hand-over of ${name}: the kernel runs it, or another program, or wireguard-ts 0.2.0 or older; the old process must be stopped once (wgts down ${name}, wgts up ${name})`,
    );
  if (isHere(old) === false)
    throw codedError(
      'EINVAL',
      `${name} runs in another network namespace; run there: nsenter --net=/proc/${old}/ns/net wgts upgrade ${name}`,
    );
  const watcher = await findWatcher(name);
  if (watcher !== undefined) await askWatcher(name, watcher, old);
  else await startSuccessor(name, readDeviceProcess(name, old));
  return `${name}: process ${old} handed over to process ${pidOf(name) ?? 'unknown'}`;
}

async function askWatcher(name: string, watcher: number, old: number): Promise<void> {
  process.kill(watcher, 'SIGUSR2');
  for (const end = performance.now() + WATCHER_LIMIT_MS; performance.now() < end; await sleep(LOOK_MS)) {
    const now = pidOf(name);
    if (now !== undefined && now !== old) return;
  }
  throw codedError(
    'ETIMEDOUT',
    `process ${watcher} (wgts up --watch ${name}) did not upgrade it within ${WATCHER_LIMIT_MS / 1000} s; its messages say why`,
  );
}

async function startSuccessor(name: string, old: RunningDeviceProcess): Promise<void> {
  const { values } = parseOptions(wireguardTs, old.args, { least: 1, lastCounts: true });
  if (values['foreground'] === true || (old.env['WG_PROCESS_FOREGROUND'] === '1' && !('WGTS_READY_FD' in old.env)))
    throw codedError(
      'EINVAL',
      `process ${old.pid} runs ${name} in the foreground, under a supervisor that would take a hand-over for its end; let the supervisor start: wireguard-ts -f --take-over ${name}`,
    );
  const options = Object.entries(values)
    .filter(([option]) => !ONCE.has(option))
    .map(([option, value]) => (value === true ? `--${option}` : `--${option}=${value}`));
  await startInBackground({
    name,
    args: [...options, '--take-over', name],
    keepOutput: false,
    tunFd: undefined,
    uapiFd: undefined,
    env: successorEnvironment(old.env),
  });
}
