/** This machine as src/quick sees it. */

import { readFileSync, writeFileSync } from 'node:fs';
import type { BackendName } from '../backend/take.ts';
import { type NativeBinding, nativeBinding } from '../io/native-binding.ts';
import { nativeNetlink } from '../io/netlink.ts';
import { Network } from '../netlink/network.ts';
import { firewallTableName, firewallTables } from '../quick/firewall.ts';
import type { QuickHost } from '../quick/ports.ts';
import { problem } from '../quick/problem.ts';
import { writeQuickFile } from './conf-file.ts';
import { SystemDevices } from './devices.ts';
import { setDns, unsetDns } from './dns.ts';
import { removeFirewall, setFirewall } from './firewall.ts';
import { runHook } from './program.ts';
import { readState, removeState, writeState } from './run-state.ts';

const MARK_VALID = '/proc/sys/net/ipv4/conf/all/src_valid_mark';

export interface MachineOptions {
  readonly backend: BackendName;
  readonly script: string;
  readonly keepOutput: boolean;
  readonly say: (text: string) => void;
  readonly warn: (text: string) => void;
}

export interface Machine extends QuickHost {
  readonly devices: SystemDevices;
  close(): void;
}

/** @throws NetlinkError; Error when the addon is not built */
export function openMachine(options: MachineOptions): Machine {
  const port = nativeNetlink(loadAddon());
  const network = new Network(port);
  const devices = new SystemDevices({ ...options, port, network });
  const { say, warn } = options;
  return {
    network,
    devices,
    runHook,
    setDns,
    unsetDns,
    setFirewall: plan => setFirewall(port, firewallTables(plan), warn),
    removeFirewall: name => removeFirewall(port, firewallTableName(name)),
    readMarkValid,
    writeMarkValid: value => writeFileSync(MARK_VALID, value),
    readState,
    writeState,
    removeState,
    saveFile: writeQuickFile,
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

function readMarkValid(): string | undefined {
  try {
    return readFileSync(MARK_VALID, 'utf8').trim();
  } catch {
    return undefined;
  }
}
