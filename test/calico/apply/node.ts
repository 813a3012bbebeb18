/**
 * A node in memory for src/calico/apply: the fake kernel, plus the state of nftables, sysctls and
 * files. A process on it can be killed, or have an operation fail, before any single operation.
 */
import { formatAddress, parseAddress } from '../../../src/base/address.ts';
import type { Family } from '../../../src/base/family.ts';
import { clampPrivateKey, formatKeyBase64 } from '../../../src/base/key.ts';
import { formatPrefix, parsePrefix } from '../../../src/base/prefix.ts';
import { Applier } from '../../../src/calico/apply/applier.ts';
import type { ApplyHost, Owned } from '../../../src/calico/apply/ports.ts';
import type { PerFamily } from '../../../src/calico/model/cluster.ts';
import type { Desired, DesiredPeer, DesiredRoute, DesiredTunnel } from '../../../src/calico/model/desired.ts';
import { opensslCrypto } from '../../../src/crypto/node/openssl.ts';
import { isRefusal } from '../../../src/netlink/errors.ts';
import { Network } from '../../../src/netlink/network.ts';
import type { NfTable } from '../../../src/netlink/nftables.ts';
import { PROTOCOL, TABLE } from '../../../src/netlink/route.ts';
import { describeRule } from '../../../src/netlink/rules.ts';
import { KernelWireguard } from '../../../src/netlink/wireguard.ts';
import { FakeKernel, type FakeKernelOptions, type RequestName } from '../../support/fake-kernel/kernel.ts';

class Killed extends Error {}

export interface ProcessOptions {
  /** Kills the process before this operation, counted from 0. */
  readonly killAt?: number;
  /** Fails this operation once; the process lives on. */
  readonly failAt?: number;
}

export interface Process {
  readonly applier: Applier;
  readonly host: ApplyHost;
  readonly operations: string[];
  readonly said: string[];
  readonly warned: string[];
  close(): void;
}

export const OWNED: PerFamily<Owned> = {
  4: { interfaceName: 'tunl-wg.cali', table: 51820 },
  6: { interfaceName: 'tunl-wg6.cali', table: 51820 },
};
const WRITES = /_(NEW|DEL)[A-Z]|_SET_|^nft (set|remove)|^sysctl|^save/;

export class FakeNode {
  readonly kernel: FakeKernel;
  readonly tables = new Map<Family, NfTable>();
  readonly sysctls = new Map([['net/ipv4/conf/all/src_valid_mark', '0']]);
  readonly keys = new Map<Family, Uint8Array>();
  records: PerFamily<readonly Owned[]> = {};
  /** The version and container of the next process, and those that run the devices. */
  runner = 'version 1 in container 1';
  readonly runners = new Map<string, string>();
  takeOver: (name: string) => Promise<boolean> = async () => false;
  /** Unix time in milliseconds. */
  wallTime = 1_800_000_000_000;
  #serial = 0;
  #keys = 0;

  constructor(options?: FakeKernelOptions) {
    this.kernel = new FakeKernel(options);
  }

  process({ killAt, failAt }: ProcessOptions = {}): Process {
    const operations: string[] = [];
    const said: string[] = [];
    const warned: string[] = [];
    let dead = false;
    const operation = (name: string): void => {
      if (dead || (killAt !== undefined && operations.length >= killAt)) {
        dead = true;
        throw new Killed(`killed before ${name}`);
      }
      operations.push(name);
      if (operations.length - 1 === failAt) throw new Error(`${name} failed`);
    };
    this.kernel.before = operation;
    const network = new Network(this.kernel);
    let opened: KernelWireguard | undefined;
    const wireguard = async (): Promise<KernelWireguard> => {
      opened ??= await KernelWireguard.open(this.kernel);
      return opened!;
    };
    const host: ApplyHost = {
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
        takeOver: name => this.takeOver(name),
        gone: async () => {},
      },
      tables: {
        replace: async table => {
          operation('nft set');
          // Like the kernel, which gives a replaced table new handles.
          this.tables.set(table.family, { ...table, name: `${table.name} ${this.#serial++}` });
        },
        remove: async ({ family }) => {
          operation('nft remove');
          this.tables.delete(family);
        },
        read: async ({ family }) => {
          operation('nft read');
          return this.tables.get(family)?.name;
        },
      },
      sysctls: {
        get: name => this.sysctls.get(name),
        set: (name, value) => {
          operation(`sysctl ${name}`);
          this.sysctls.set(name, value);
        },
      },
      keys: {
        load: family => this.keys.get(family)?.slice(),
        save: (family, key) => {
          operation(`save key ${family}`);
          this.keys.set(family, key.slice());
        },
        // Sequential, so that two nodes generate the same keys.
        generate: () => clampPrivateKey(new Uint8Array(32).fill(++this.#keys)),
      },
      records: {
        read: () => this.records,
        write: records => {
          operation('save records');
          this.records = records;
        },
      },
      runners: {
        own: this.runner,
        read: name => this.runners.get(name),
        write: (name, runner) => {
          operation('save runner');
          this.runners.set(name, runner);
        },
        isNews: () => true,
      },
      sleep: async () => operation('sleep'),
      wallTime: () => this.wallTime,
      log: text => void said.push(text),
      warn: text => void warned.push(text),
    };
    const close = (): void => {
      this.kernel.before = undefined;
      network.close();
      opened?.close();
    };
    return { applier: new Applier(host, { owned: OWNED }), host, operations, said, warned, close };
  }

  /** Changes the node like another program. */
  async meddle(action: (network: Network) => Promise<unknown>): Promise<void> {
    const { before } = this.kernel;
    this.kernel.before = undefined;
    const network = new Network(this.kernel);
    await action(network);
    network.close();
    this.kernel.before = before;
  }

  /** Returns the node's relevant state, for comparison. */
  picture(): Record<string, unknown> {
    const { world } = this.kernel;
    const nameOf = (index: number | undefined): string | undefined => world.links.get(index ?? 0)?.name;
    const links = [...world.links.values()];
    return {
      links: links.map(({ name, kind, mtu, up }) => `${name} ${kind} ${mtu} ${up}`).sort(),
      devices: links.flatMap(({ index, name }) => {
        const device = world.devices.get(index);
        if (!device) return [];
        const peers = [...device.peers.values()].map(
          peer =>
            `${formatKeyBase64(peer.publicKey)} ${[...peer.allowedIps.keys()].sort()} ${peer.endpoint} ${peer.persistentKeepalive}`,
        );
        return [
          `${name} ${formatKeyBase64(device.privateKey)} ${device.listenPort} ${device.fwmark} ${peers.sort().join('; ')}`,
        ];
      }),
      addresses: world.addresses
        .map(({ index, address, prefixLength }) => `${nameOf(index)} ${formatAddress(address)}/${prefixLength}`)
        .sort(),
      routes: world.routes
        .filter(({ protocol, table }) => protocol !== PROTOCOL.kernel && table !== TABLE.local)
        .map(({ destination, table, link, type }) => `${type} ${formatPrefix(destination)} ${nameOf(link)} ${table}`)
        .sort(),
      rules: world.rules.map(rule => describeRule(rule)),
      tables: [...this.tables].map(([family, { chains, sets = [] }]) => ({
        family,
        chains: chains.map(({ name }) => name),
        sealed: sets.flatMap(({ ranges }) =>
          ranges.map(({ first, end }) => `${formatAddress(first)}-${end && formatAddress(end)}`),
        ),
      })),
      sysctls: Object.fromEntries(this.sysctls),
      records: Object.fromEntries(Object.entries(this.records).filter(([, owned]) => owned.length > 0)),
    };
  }
}

/** Returns the operations that change something. */
export function writesOf(operations: readonly string[]): string[] {
  return operations.filter(name => WRITES.test(name));
}

/** Names of requests that a test can make fail. */
export const WRITE_REQUESTS: readonly RequestName[] = [
  'RTM_NEWLINK',
  'RTM_NEWADDR',
  'RTM_NEWROUTE',
  'RTM_NEWRULE',
  'WG_CMD_SET_DEVICE',
];

export function publicKeyOf(privateKey: Uint8Array): string {
  return formatKeyBase64(opensslCrypto.publicKey(privateKey));
}

const TEXT = {
  4: { address: '10.42.0.1', node: '192.0.2.', pods: (n: number) => `10.42.${n}.0/26` },
  6: { address: 'fd42::1', node: '2001:db8::', pods: (n: number) => `fd42:0:0:${n}::/122` },
} as const;

/** The peer for node number n. */
export function peer(family: Family, n: number, change: Partial<DesiredPeer> = {}): DesiredPeer {
  const { node, pods } = TEXT[family];
  return {
    node: `node-${n}`,
    publicKey: opensslCrypto.publicKey(clampPrivateKey(new Uint8Array(32).fill(100 + n))),
    endpointAddress: parseAddress(`${node}${n}`)!,
    endpointPort: family === 4 ? 51820 : 51821,
    persistentKeepalive: 0,
    allowedIps: [parsePrefix(pods(n))!],
    ...change,
  };
}

export function route(text: string, kind: DesiredRoute['kind']): DesiredRoute {
  return { destination: parsePrefix(text)!, kind };
}

/** The tunnel of node 1 with these peers; routes to its own pods are `throw`. */
export function tunnel(
  family: Family,
  peers: readonly DesiredPeer[],
  change: Partial<DesiredTunnel> = {},
): DesiredTunnel {
  const routes = [
    route(TEXT[family].pods(1), 'throw'),
    ...peers.flatMap(({ allowedIps }) =>
      allowedIps.map((destination): DesiredRoute => ({ destination, kind: 'tunnel' })),
    ),
  ];
  return {
    family,
    ...OWNED[family]!,
    mtu: family === 4 ? 1440 : 1420,
    listenPort: family === 4 ? 51820 : 51821,
    mark: 0x100000,
    address: parseAddress(TEXT[family].address)!,
    peers: new Map(peers.map(each => [formatKeyBase64(each.publicKey), each])),
    routes: new Map(routes.map(each => [formatPrefix(each.destination), each])),
    routeProtocol: 80,
    threaded: false,
    rulePriority: 98,
    firewall: { allowPort: true, masquerade: true, sealed: [], workloadPrefixes: ['cali'] },
    ...change,
  };
}

/** The same plan in each of these families. */
export function desired(families: readonly Family[], make: (family: Family) => DesiredTunnel): Desired {
  return { tunnels: Object.fromEntries(families.map(family => [family, make(family)])) };
}
