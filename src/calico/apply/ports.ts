/** What making a node be as planned needs of its machine beside rtnetlink. The agent puts the adapters together; the tests have a machine in memory. */
import type { Family } from '../../netlink/family.ts';
import type { Network } from '../../netlink/network.ts';
import type { NfTable, TableName } from '../../netlink/nftables.ts';
import type { QuickDevices } from '../../quick/ports.ts';
import type { PerFamily } from '../model/cluster.ts';

export interface ApplyHost {
  readonly network: Network;
  readonly devices: Pick<QuickDevices, 'choose' | 'create' | 'status' | 'configure' | 'gone'>;
  readonly tables: Tables;
  readonly sysctls: Sysctls;
  readonly keys: Keys;
  readonly records: Records;
  sleep(milliseconds: number): Promise<void>;
  /** Unix time in milliseconds. */
  wallTime(): number;
  /** Each change, before it is made. */
  log(text: string): void;
  warn(text: string): void;
}

/** nftables. */
export interface Tables {
  /** In one transaction. */
  replace(table: NfTable): Promise<void>;
  remove(table: TableName): Promise<void>;
  /** The same text as before where nothing changed; undefined where there is no such table. */
  read(table: TableName, sets: readonly string[]): Promise<string | undefined>;
}

export interface Sysctls {
  /** @param name with slashes: `net/ipv4/ip_forward`, or of a link `class/net/eth0/threaded`. @returns undefined if the kernel has no such thing */
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

/** Private keys, one for each family. Whoever gets one erases it. */
export interface Keys {
  /** undefined if there is none yet. @throws Error that names the file, if it cannot be used */
  load(family: Family): Uint8Array | undefined;
  /** On disk when it returns. */
  save(family: Family, key: Uint8Array): void;
  /** A new one, clamped. */
  generate(): Uint8Array;
}

/** What of a machine is ours: the interface of that name, and every route in that table. */
export interface Owned {
  readonly interfaceName: string;
  readonly table: number;
}

/** What was made, from before it is made until after it is gone, across restarts: the names may be others by then. */
export interface Records {
  read(): PerFamily<readonly Owned[]>;
  write(records: PerFamily<readonly Owned[]>): void;
}

/** One family's work under way. */
export interface Work {
  readonly host: ApplyHost;
  readonly family: Family;
  /** Said and counted before it is made. */
  change(text: string): void;
}
