/** This machine as src/quick sees it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { nativeBinding } from '../io/native-binding.ts';
import { nativeNetlink } from '../io/netlink.ts';
import { isRefusal } from '../netlink/errors.ts';
import { Network } from '../netlink/network.ts';
import { removeTables, replaceTables } from '../netlink/nftables.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import { firewallTableName, firewallTables } from '../quick/firewall.ts';
import type { QuickHost } from '../quick/ports.ts';
import { writeQuickFile } from './conf-file.ts';
import { type QuickBackend, SystemDevices } from './devices.ts';
import { setDns, unsetDns } from './dns.ts';
import { runHook } from './program.ts';
import { readState, removeState, writeState } from './run-state.ts';

const MARK_VALID = '/proc/sys/net/ipv4/conf/all/src_valid_mark';
/** What a kernel says that has no nf_tables, or lacks an expression or a kind of chain. */
const NO_NFTABLES = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOENT', 'EINVAL', 'EAFNOSUPPORT'] as const;

export interface MachineOptions {
  readonly backend: QuickBackend;
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
  const port = nativeNetlink(nativeBinding());
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

/** The tunnel works without it, only its address is less well hidden: small kernels, which have no nf_tables, are what this program is for. */
async function setFirewall(
  port: NetlinkPort,
  tables: ReturnType<typeof firewallTables>,
  warn: (text: string) => void,
): Promise<void> {
  try {
    await replaceTables(port, tables);
  } catch (error) {
    if (!isRefusal(error, ...NO_NFTABLES)) throw error;
    warn(
      `${error.message}; going on without it: neighbours may probe the tunnel's addresses (CVE-2019-14899), and with rp_filter=1 peers may not be heard`,
    );
  }
}

async function removeFirewall(port: NetlinkPort, name: string): Promise<void> {
  // one after the other: a kernel without IPv6 refuses only that one
  for (const family of [4, 6] as const)
    try {
      await removeTables(port, [{ family, name }]);
    } catch (error) {
      if (!isRefusal(error, ...NO_NFTABLES)) throw error;
    }
}

function readMarkValid(): string | undefined {
  try {
    return readFileSync(MARK_VALID, 'utf8').trim();
  } catch {
    return undefined;
  }
}
