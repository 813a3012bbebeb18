/**
 * An in-memory machine for src/quick: the fake kernel, and the state of hooks, resolvconf, nftables
 * and files. A process on it can be killed before any single step, as by SIGKILL.
 */

import { formatAddress, parseAddress } from '../../src/base/address.ts';
import { formatKeyBase64 } from '../../src/base/key.ts';
import { formatPrefix, makePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig } from '../../src/config/model.ts';
import { numericZones } from '../../src/config/zones.ts';
import { isRefusal } from '../../src/netlink/errors.ts';
import { Network } from '../../src/netlink/network.ts';
import { PROTOCOL, TABLE } from '../../src/netlink/route.ts';
import { describeRule } from '../../src/netlink/rules.ts';
import { KernelWireguard } from '../../src/netlink/wireguard.ts';
import { parseQuickFile, type QuickFile } from '../../src/quick/file.ts';
import type { QuickHost, UpTarget } from '../../src/quick/ports.ts';
import { formatState, parseState } from '../../src/quick/state.ts';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';
import type { FakeDevice } from '../support/fake-kernel/world.ts';

export class Killed extends Error {}

export interface Process {
  readonly host: QuickHost;
  /** Names of the steps so far. */
  readonly steps: readonly string[];
  readonly said: string[];
  readonly warned: string[];
  close(): void;
}

export interface ProcessOptions {
  /** Index of the step before which the process is killed. */
  readonly killAt?: number;
  /** Index of the step that fails, once. The process lives on. */
  readonly failAt?: number;
  /** Makes steps fail. @returns the error, or undefined for success */
  readonly fails?: (name: string, at: number) => Error | undefined;
}

export class FakeMachine {
  readonly kernel = new FakeKernel({ kinds: ['wireguard', 'dummy', 'ifb', 'tun'] });
  readonly states = new Map<string, string>();
  readonly files = new Map<string, string>();
  readonly dns = new Map<string, string>();
  readonly firewall = new Map<string, string>();
  readonly hooks: string[] = [];
  /** The file that was passed to each hook. */
  readonly hookFiles: string[] = [];
  markValid = '0';
  /** The error of an attempt to set `markValid`. */
  markRefusal: Error | undefined;
  /** Values by their path below /proc/sys. */
  readonly sysctls = new Map<string, string>();
  kubernetes: string | undefined;
  /** What a hook does, in addition to being recorded. */
  onHook: ((command: string, network: Network) => Promise<void>) | undefined;

  /** Starts a machine with an uplink that has a default route. */
  static async start(): Promise<FakeMachine> {
    const machine = new FakeMachine();
    const network = new Network(machine.kernel);
    const eth0 = await network.links.create({ name: 'eth0', kind: 'dummy', up: true, mtu: 1500 });
    await network.addresses.add(eth0, { address: parseAddress('192.0.2.2')!, prefixLength: 24 });
    const gateway = parseAddress('192.0.2.1')!;
    await network.routes.add({ destination: makePrefix(new Uint8Array(4), 0), gateway, link: eth0.index });
    network.close();
    return machine;
  }

  process({ killAt, failAt, fails }: ProcessOptions = {}): Process {
    const steps: string[] = [];
    const said: string[] = [];
    const warned: string[] = [];
    let dead = false;
    const step = (name: string): void => {
      dead = killAt !== undefined && steps.length >= killAt;
      if (dead) throw new Killed(`killed before ${name}`);
      steps.push(name);
      const at = steps.length - 1;
      const failure = at === failAt ? new Error(`${name} failed`) : fails?.(name, at);
      if (failure) throw failure;
    };
    this.kernel.before = step;
    const network = new Network(this.kernel);
    let opened: KernelWireguard | undefined;
    const wireguard = async (): Promise<KernelWireguard> => {
      opened ??= await KernelWireguard.open(this.kernel);
      return opened!;
    };
    const host: QuickHost = {
      network,
      devices: {
        choose: async () => 'kernel',
        create: async name => void (await network.links.create({ name, kind: 'wireguard' })),
        status: async name => {
          try {
            return await (await wireguard()).get(name);
          } catch (error) {
            if (isRefusal(error, 'ENODEV', 'EOPNOTSUPP')) return undefined;
            throw error;
          }
        },
        configure: async (name, config) => (await wireguard()).set(name, config),
        confirmPort: async () => {},
        portInUse: async name => Object.assign(new Error(`${name}: its port is in use`), { code: 'EADDRINUSE' }),
        gone: async () => {},
        removeStaleSocket: async () => {},
      },
      runHook: async (command, { file }) => {
        step(`hook ${command}`);
        this.hooks.push(command);
        this.hookFiles.push(file);
        await this.onHook?.(command, network);
      },
      setDns: async (name, servers, search) => {
        step('set DNS');
        this.dns.set(name, [...servers, ...search].join(' '));
      },
      unsetDns: async name => {
        step('unset DNS');
        this.dns.delete(name);
      },
      setFirewall: async ({ name, mark, families, addresses }) => {
        step('set firewall');
        this.firewall.set(name, `${mark} ${families.join(' ')} ${addresses.map(formatAddress).join(' ')}`);
      },
      removeFirewall: async name => {
        step('remove firewall');
        this.firewall.delete(name);
      },
      readMarkValid: () => this.markValid,
      writeMarkValid: value => {
        step('mark valid');
        if (this.markRefusal) throw this.markRefusal;
        this.markValid = value;
      },
      readSysctl: path => this.sysctls.get(path),
      findKubernetes: async () => this.kubernetes,
      readState: name => {
        const text = this.states.get(name);
        return text === undefined ? undefined : parseState(text, name);
      },
      writeState: state => {
        step(`remember ${state.phase}`);
        this.states.set(state.name, formatState(state));
      },
      removeState: name => {
        step('forget');
        this.states.delete(name);
      },
      saveFile: (path, text) => {
        step('save');
        this.files.set(path, text);
      },
      rescueFile: (name, text) => {
        step('rescue');
        this.files.set(`/run/${name}.conf`, text);
        return `/run/${name}.conf`;
      },
      say: text => void said.push(text),
      warn: text => {
        // A killed process must not catch the kill, warn and continue.
        if (dead) throw new Killed('killed before it could warn');
        warned.push(text);
      },
    };
    const close = (): void => {
      this.kernel.before = undefined;
      network.close();
      opened?.close();
    };
    return { host, steps, said, warned, close };
  }

  /** Returns the whole state in a comparable form. */
  picture(): Record<string, unknown> {
    const { world } = this.kernel;
    const nameOf = (index: number | undefined) => world.links.get(index ?? 0)?.name;
    const links = [...world.links.values()];
    return {
      links: links.map(({ name, kind, mtu, up }) => `${name} ${kind} ${mtu} ${up}`).sort(),
      devices: links.flatMap(({ index, name }) => {
        const device = world.devices.get(index);
        return device ? [`${name} ${describeDevice(device)}`] : [];
      }),
      addresses: world.addresses
        .map(({ index, address, prefixLength }) => `${nameOf(index)} ${formatAddress(address)}/${prefixLength}`)
        .sort(),
      routes: world.routes
        .filter(({ protocol, table }) => protocol !== PROTOCOL.kernel && table !== TABLE.local)
        .map(({ destination, table, link }) => `${formatPrefix(destination)} ${nameOf(link)} ${table}`)
        .sort(),
      rules: world.rules.map(rule => describeRule(rule)),
      dns: Object.fromEntries(this.dns),
      firewall: Object.fromEntries(this.firewall),
      markValid: this.markValid,
      state: Object.fromEntries([...this.states].map(([name, text]) => [name, normalState(text)])),
    };
  }
}

export function target(text: string, name = 'wg0', config: Partial<DeviceConfig> = {}): UpTarget {
  const file: QuickFile = parseQuickFile(text, `/etc/wireguard/${name}.conf`, { zones: numericZones });
  const peers = file.wireguard.peers.map(({ endpoint, endpointLine: _, ...peer }) => ({
    ...peer,
    ...(endpoint instanceof Uint8Array && { endpoint }),
  }));
  return {
    file,
    path: `/etc/wireguard/${name}.conf`,
    version: String(text.length + text.charCodeAt(text.indexOf('10.9.0.') + 7)),
    zones: numericZones,
    resolve: async () => ({ ...file.wireguard, peers, ...config }),
  };
}

/** Describes a device without its port, which the system chooses. */
function describeDevice({ privateKey, fwmark, peers }: FakeDevice): string {
  const list = [...peers.values()].map(
    peer =>
      `${formatKeyBase64(peer.publicKey)} ${[...peer.allowedIps.keys()].sort()} ${formatKeyBase64(peer.presharedKey)} ${peer.endpoint}`,
  );
  return `${formatKeyBase64(privateKey)} ${fwmark} ${list.sort().join('; ')}`;
}

/** Sorts the rules, whose order depends on how the state was reached. */
function normalState(text: string): unknown {
  const state = parseState(text, '') as unknown as Record<string, unknown>;
  const rules = (state['policy'] as { rules?: unknown[] } | undefined)?.rules;
  rules?.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return state;
}
