/**
 * Opens the real machine: the ports that src/calico/apply uses, and the facts that the plan needs.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BackendChoice, hasFamily } from '../../backend/choose.ts';
import type { Family } from '../../base/family.ts';
import { SystemDevices } from '../../host/devices.ts';
import { version } from '../../io/installation.ts';
import { systemNetlink } from '../../io/netlink.ts';
import { publicKeyOf } from '../../io/secrets.ts';
import { Network } from '../../netlink/network.ts';
import { systemSysctls } from '../apply/device/sysctl.ts';
import { systemTables } from '../apply/firewall/nftables.ts';
import type { ApplyHost } from '../apply/ports.ts';
import { KeyFiles } from '../apply/state/identity.ts';
import { RecordFile } from '../apply/state/record.ts';
import { RunnerFile } from '../apply/state/runner.ts';
import { StateDirectory } from '../apply/state/state-directory.ts';
import { TrustFile } from '../apply/state/trust-file.ts';
import type { HostFacts } from '../plan/dataplane/mtu.ts';
import type { AgentMachine } from './dependencies.ts';
import { ownPidNamespace } from './leadership/identity.ts';

const FELIX_FILE = '/etc/calico/felix.cfg';

export interface MachineOptions {
  /** The state directory, with keys and records. */
  readonly keyDirectory: string;
  readonly backend: BackendChoice;
  readonly aks: boolean;
  /** Whether device processes inherit our output, which then stays open as long as they run. */
  readonly keepOutput: boolean;
  log(text: string): void;
  warn(text: string): void;
}

export interface Machine extends AgentMachine {
  readonly host: ApplyHost;
  /** Idempotent. */
  close(): void;
}

/** Opens the ports. @throws Error that names what is missing: the state directory or netlink */
export function openMachine({ keyDirectory, backend, aks, keepOutput, log, warn }: MachineOptions): Machine {
  const directory = new StateDirectory(keyDirectory, warn);
  const keys = new KeyFiles(directory);
  const network = new Network(systemNetlink);
  const devices = new SystemDevices({ port: systemNetlink, network, backend, keepOutput });
  return {
    host: {
      network,
      devices,
      tables: systemTables(systemNetlink),
      sysctls: systemSysctls,
      keys,
      records: new RecordFile(directory, warn),
      runners: new RunnerFile(directory, ownRunner()),
      sleep: milliseconds => sleep(milliseconds),
      wallTime: () => Date.now(),
      log,
      warn,
    },
    async facts(): Promise<HostFacts> {
      const links = await network.links.list();
      return { links: links.map(({ name, mtu, running }) => ({ name, mtu, up: running })), aks };
    },
    kernelHasWireguard: () => hasFamily(systemNetlink),
    ownPublicKey(family: Family): Uint8Array | undefined {
      const key = keys.load(family);
      try {
        return key && publicKeyOf(key);
      } finally {
        key?.fill(0);
      }
    },
    felixFile: () => readTextIfPresent(FELIX_FILE),
    trust: new TrustFile(directory, warn),
    close() {
      devices.close();
      network.close();
    },
  };
}

/** Names this program version and container: containers differ in their PID namespaces. */
function ownRunner(): string {
  return `version ${version()} in ${ownPidNamespace()}`;
}

function readTextIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
