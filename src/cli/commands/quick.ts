/**
 * `wgts up`, `down`, `reload`, `save`, `strip`: wg-quick's commands and `reload`, with wg-quick's
 * files. They work over netlink, for kernel and userspace devices.
 */
import { existsSync } from 'node:fs';
import { BACKENDS, type BackendChoice } from '../../backend/choose.ts';
import { interruptChildren } from '../../host/child.ts';
import { locateFile, readStripped } from '../../host/conf-file.ts';
import { withLock } from '../../host/interface-lock.ts';
import { readState } from '../../host/run-state.ts';
import { forbidDumps } from '../../io/secrets.ts';
import { interfaceName } from '../../quick/file.ts';
import * as quick from '../../quick/quick.ts';
import { applyReload, planReload } from '../../quick/reload.ts';
import * as texts from '../help/texts/quick.ts';
import { checkChoice, parseOptions } from '../parse-options.ts';
import { openSession, type SessionOptions, warner } from '../quick-session.ts';
import type { Command, Terminal } from '../terminal.ts';
import { keepUp } from './keep-up.ts';

const ONLY_ONE: SessionOptions = { backend: 'auto', watch: false };

export const up: Command = async (args, terminal) => {
  const { argument, ...options } = upArguments(args, terminal);
  forbidDumps();
  // This variable is for us: neither the device nor the hooks may react to it.
  const manager = terminal.env['NOTIFY_SOCKET'];
  delete process.env['NOTIFY_SOCKET'];
  const told = new AbortController();
  const stop = () => {
    told.abort();
    interruptChildren();
  };
  // SIGHUP, too: closing the terminal must not leave a half-configured interface.
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
  const session = openSession(locateFile(argument), terminal, { ...options, signal: told.signal });
  const { machine, file, target } = session;
  try {
    await withLock(file.name, () => quick.up(machine, target));
    // From here on, SIGHUP requests a reload of the file.
    process.off('SIGHUP', stop);
    return options.watch
      ? await keepUp(session, terminal, { manager, signal: told.signal, reread: session.reread })
      : 0;
  } finally {
    machine.close();
    process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', stop);
  }
};

export const down: Command = async (args, terminal) => {
  const path = remembered(only(args, 'down'));
  const { machine, file, target } = openSession(path, terminal, { ...ONLY_ONE, mayLack: true });
  // The signals end a hook that hangs, and that hook fails. The rest of the command still runs,
  // because stopping would leave an incomplete interface.
  process.on('SIGTERM', interruptChildren).on('SIGINT', interruptChildren).on('SIGHUP', interruptChildren);
  try {
    await withLock(file.name, async () => {
      const state = machine.readState(file.name);
      if (!existsSync(path) && state) await quick.downWithoutFile(machine, state);
      else await quick.down(machine, target);
    });
    return 0;
  } finally {
    machine.close();
    process.off('SIGTERM', interruptChildren).off('SIGINT', interruptChildren).off('SIGHUP', interruptChildren);
  }
};

export const reload: Command = async (args, terminal) => {
  const { values, positionals } = parseOptions(texts.reload, args, { least: 1 });
  forbidDumps();
  const told = new AbortController();
  const stop = () => told.abort();
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
  const options = { ...ONLY_ONE, signal: told.signal };
  const { machine, file, target } = openSession(locateFile(positionals[0]!), terminal, options);
  try {
    await withLock(file.name, async () => {
      const plan = await planReload(machine, target);
      if (plan.differences.length === 0) terminal.out(`nothing to do: ${file.name} matches ${target.path}\n`);
      for (const line of plan.differences) terminal.out(`${line}\n`);
      if (plan.differences.length > 0 && !values['dry-run']) await applyReload(machine, plan, target);
    });
    return 0;
  } finally {
    machine.close();
    process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', stop);
  }
};

export const save: Command = async (args, terminal) => {
  const { machine, file, target } = openSession(locateFile(only(args, 'save')), terminal, ONLY_ONE);
  try {
    await withLock(file.name, () => quick.save(machine, target));
    return 0;
  } finally {
    machine.close();
  }
};

export const strip: Command = (args, terminal) => {
  const path = locateFile(only(args, 'strip'));
  terminal.out(`${readStripped(path, warner(terminal))}\n`);
  return 0;
};

function upArguments(
  args: readonly string[],
  terminal: Terminal,
): { argument: string; backend: BackendChoice; watch: boolean } {
  const { values, positionals } = parseOptions(texts.up, args, { least: 1 });
  const { backend, watch } = values;
  const variable = terminal.env['WGTS_BACKEND'] || 'auto';
  return {
    argument: positionals[0]!,
    backend: backend === undefined ? checkChoice('$WGTS_BACKEND', variable, BACKENDS) : (backend as BackendChoice),
    watch: watch === true,
  };
}

/** Commands that take one file and no options. */
const ONE_FILE = { down: texts.down, save: texts.save, strip: texts.strip };

function only(args: readonly string[], command: keyof typeof ONE_FILE): string {
  return parseOptions(ONE_FILE[command], args, { least: 1 }).positionals[0]!;
}

/**
 * Returns the path of the file. If that file does not exist, returns the path that was recorded
 * when the interface was created.
 */
function remembered(argument: string): string {
  const path = locateFile(argument);
  if (existsSync(path)) return path;
  return readState(interfaceName(path))?.file ?? path;
}
