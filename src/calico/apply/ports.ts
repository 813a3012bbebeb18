/**
 * The ports through which a plan is applied to the machine. The agent connects real adapters; tests
 * use a machine in memory.
 */
import type { Family } from '../../base/family.ts';
import type { Network } from '../../netlink/network.ts';
import type { NfTable, TableName } from '../../netlink/nftables.ts';
import type { QuickDevices } from '../../quick/ports.ts';
import type { PerFamily } from '../model/cluster.ts';

export interface ApplyHost {
  readonly network: Network;
  readonly devices: ApplyDevices;
  readonly tables: Tables;
  readonly sysctls: Sysctls;
  readonly keys: Keys;
  readonly records: Records;
  readonly runners: Runners;
  sleep(milliseconds: number): Promise<void>;
  /** Unix time in milliseconds. */
  wallTime(): number;
  /** Receives each change before it is made. */
  log(text: string): void;
  warn(text: string): void;
}

interface ApplyDevices extends Pick<QuickDevices, 'choose' | 'create' | 'status' | 'configure' | 'gone'> {
  /**
   * Takes a userspace device over from the process that runs it, with its sessions.
   * @returns false if that process cannot hand it over: it has ended, or is of an older version
   * @throws Error with the reason if the device stays with that process
   */
  takeOver(name: string): Promise<boolean>;
}

/** Access to nftables. */
export interface Tables {
  /** Replaces the table in one transaction. */
  replace(table: NfTable): Promise<void>;
  remove(table: TableName): Promise<void>;
  /**
   * Returns a fingerprint that stays equal while the table is unchanged, or undefined if the table
   * does not exist.
   */
  read(table: TableName, sets: readonly string[]): Promise<string | undefined>;
}

export interface Sysctls {
  /**
   * Reads a parameter.
   * @param name with slashes: `net/ipv4/ip_forward`, or for a link `class/net/eth0/threaded`
   * @returns undefined if the kernel has no such parameter
   */
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

/** Private keys, one per family. The caller erases each key it receives. */
export interface Keys {
  /** Returns the key, or undefined if no key is stored. @throws Error naming an unusable file */
  load(family: Family): Uint8Array | undefined;
  /** Stores a key. The key is on disk when this method returns. */
  save(family: Family, key: Uint8Array): void;
  /** Returns a new, clamped key. */
  generate(): Uint8Array;
}

/** What we own on a machine: the interface with this name, and every route in this table. */
export interface Owned {
  readonly interfaceName: string;
  readonly table: number;
}

/**
 * Records what we own. The records are kept across restarts, because the configured names may
 * change. An entry is written before its resources are created, and removed after they are gone.
 */
export interface Records {
  read(): PerFamily<readonly Owned[]>;
  write(records: PerFamily<readonly Owned[]>): void;
}

/** Records which program version in which container runs each userspace device. */
export interface Runners {
  /** This program version and container. */
  readonly own: string;
  read(name: string): string | undefined;
  write(name: string, runner: string): void;
  /** Returns whether this failure to take a device over differs from its last one. */
  isNews(name: string, failure: string): boolean;
}

/** What each step of applying one family's plan needs. */
export interface ApplyContext {
  readonly host: ApplyHost;
  readonly family: Family;
  /** Logs and counts a change, or several at once; call it before making them. */
  recordChange(text: string, count?: number): void;
}
