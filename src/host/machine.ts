/** Implements the ports of src/quick on this machine. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendChoice } from '../backend/choose.ts';
import { type NativeBinding, nativeBinding } from '../io/native-binding.ts';
import { nativeNetlink } from '../io/netlink.ts';
import { Network } from '../netlink/network.ts';
import { firewallTableName, firewallTables } from '../quick/firewall.ts';
import type { QuickHost } from '../quick/ports.ts';
import { problem } from '../quick/problem.ts';
import { writeQuickFile } from './conf-file.ts';
import { QuickSystemDevices } from './devices.ts';
import { setDns, unsetDns } from './dns.ts';
import { removeFirewall, setFirewall } from './firewall.ts';
import { runHook } from './hook.ts';
import { findKubernetes } from './kubernetes.ts';
import { explained } from './read-only.ts';
import { RUN_FOLDER, readState, removeState, rescueFile, writeState } from './run-state.ts';

const SYSCTLS = '/proc/sys';
const MARK_VALID = 'net/ipv4/conf/all/src_valid_mark';

export interface MachineOptions {
  readonly backend: BackendChoice;
  readonly keepOutput: boolean;
  readonly say: (text: string) => void;
  readonly warn: (text: string) => void;
}

export interface Machine extends QuickHost {
  readonly devices: QuickSystemDevices;
  close(): void;
}

/**
 * Opens the resources that src/quick needs on this machine.
 * @throws NetlinkError; Error if the addon is not built
 */
export function openMachine(options: MachineOptions): Machine {
  const port = nativeNetlink(loadAddon());
  const network = new Network(port);
  const devices = new QuickSystemDevices({ ...options, port, network });
  const { say, warn } = options;
  return {
    network,
    devices,
    runHook: (command, context) => runHook(command, context, warn),
    setDns: (name, servers, search) => setDns(name, servers, search),
    unsetDns: async name => unsetDns(name, (await network.links.find(name)) !== undefined),
    setFirewall: plan => setFirewall(port, firewallTables(plan), warn),
    removeFirewall: name => removeFirewall(port, firewallTableName(name)),
    readMarkValid: () => readSysctl(MARK_VALID),
    writeMarkValid: value => writeFileSync(join(SYSCTLS, MARK_VALID), value),
    readSysctl,
    findKubernetes: () => findKubernetes(port),
    readState,
    writeState: state =>
      explained(
        () => writeState(state),
        `${RUN_FOLDER} cannot be written`,
        process.geteuid?.() === 0
          ? 'down reads there what it must remove; make it writable, in a container docker run --tmpfs /run'
          : 'run this as root (sudo)',
      ),
    removeState,
    saveFile: (path, text) =>
      explained(
        () => writeQuickFile(path, text),
        `${path} cannot be saved`,
        'make its folder writable (in a container mount the folder, not the file alone), or remove SaveConfig from the file',
      ),
    rescueFile,
    say,
    warn,
    close() {
      network.close();
      devices.close();
    },
  };
}

function loadAddon(): NativeBinding {
  try {
    return nativeBinding();
  } catch (error) {
    throw problem('EADDON', (error as Error).message);
  }
}

function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(join(SYSCTLS, path), 'utf8').trim();
  } catch {
    return undefined;
  }
}
