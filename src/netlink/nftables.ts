/**
 * nf_tables over netlink: replaces or removes whole tables, each time in one transaction, so that a
 * table is never applied in part. Also reads a table, so that a caller can compare it with an
 * earlier reading. Other operations, such as changing single rules, are not implemented.
 */
import { addressSize, type Family } from '../base/family.ts';
import { AttributeWriter } from './attributes.ts';
import { isRefusal, NetlinkError } from './errors.ts';
import { familyNumber } from './family.ts';
import { decodeMessages, decodeVerdict, encodeMessage, FLAG, MESSAGE, type NetlinkMessage } from './message.ts';
import { be32, type Expression } from './nft-expression.ts';
import { NETLINK_NETFILTER, type NetlinkChannel, type NetlinkPort } from './port.ts';
import { attempt, NetlinkSocket } from './socket.ts';

const BATCH = { begin: 0x10, end: 0x11 } as const;
const SUBSYSTEM = 10;
const KIND = {
  newTable: 0,
  getTable: 1,
  removeTable: 2,
  newChain: 3,
  newRule: 6,
  getRule: 7,
  newSet: 9,
  newElements: 12,
  getElements: 13,
} as const;
const TABLE_NAME = 1;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
const HOOK = { number: 1, priority: 2 } as const;
const RULE = { table: 1, chain: 2, expressions: 4 } as const;
const SET = { table: 1, name: 2, flags: 3, keyType: 4, keyLength: 5, id: 10 } as const;
/** The numbers of nft(8) for the types of addresses. */
const KEY_TYPE = { 4: 7, 6: 8 } as const;
const OF_INTERVALS = 4;
const ELEMENTS = { table: 1, set: 2, list: 3 } as const;
const ELEMENT = { key: 1, flags: 3 } as const;
const DATA_VALUE = 1;
const LIST_ELEMENT = 1;
const INTERVAL_END = 1;
/** An attribute holds at most 64 KiB. */
const ELEMENTS_AT_ONCE = 500;
const ACCEPT = 1;
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
/** The error codes of a kernel without nf_tables, or without this family. */
const NO_NFTABLES = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'EINVAL', 'EAFNOSUPPORT'] as const;

export interface NfTable {
  readonly family: Family;
  readonly name: string;
  readonly sets?: readonly NfSet[];
  readonly chains: readonly NfChain[];
}

/** A set of address ranges. */
interface NfSet {
  readonly name: string;
  /** Sorted, disjoint and not adjacent. */
  readonly ranges: readonly NfRange[];
}

export interface NfRange {
  readonly first: Uint8Array;
  /** The first address after the range; absent if the range ends with the last possible address. */
  readonly end?: Uint8Array;
}

export type TableName = Pick<NfTable, 'family' | 'name'>;

export interface NfChain {
  readonly name: string;
  readonly hook: keyof typeof HOOKS;
  readonly priority: number;
  /** `filter` if absent. */
  readonly type?: 'filter' | 'nat';
  readonly rules: readonly (readonly Expression[])[];
}

interface Part {
  readonly kind: number;
  readonly flags?: number;
  readonly family: Family;
  readonly attributes: AttributeWriter;
}

/**
 * Creates the tables, replacing those of the same names.
 * @throws NetlinkError, also if the kernel lacks nf_tables or an expression
 */
export async function replaceTables(port: NetlinkPort, tables: readonly NfTable[]): Promise<void> {
  const names = tables.map(({ name, family }) => `${name} (IPv${family})`).join(', ');
  const parts = [...tables.flatMap(removal), ...tables.flatMap(creation)];
  await transact(port, `setting nftables ${names}`, parts);
}

/** Removes tables, whether or not they exist. */
export async function removeTables(port: NetlinkPort, tables: readonly TableName[]): Promise<void> {
  const names = tables.map(({ name, family }) => `${name} (IPv${family})`).join(', ');
  await transact(port, `removing nftables ${names}`, tables.flatMap(removal));
}

/**
 * Reads a table's content as raw bytes. They can only be compared with an earlier reading, since
 * they include numbers that the kernel assigned.
 * @param sets names of the table's sets
 * @returns undefined if there is no such table
 */
export async function readTable(
  port: NetlinkPort,
  { family, name }: TableName,
  sets: readonly string[],
): Promise<Uint8Array | undefined> {
  const attempted = `reading nftables ${name} (IPv${family})`;
  const header = Uint8Array.of(familyNumber(family), 0, 0, 0);
  const type = (kind: number): number => (SUBSYSTEM << 8) | kind;
  const body = (first: number): AttributeWriter => new AttributeWriter(header).string(first, name);
  let socket: NetlinkSocket | undefined;
  try {
    socket = new NetlinkSocket(port, NETLINK_NETFILTER);
    const table = await socket.request(attempted, type(KIND.getTable), 0, body(TABLE_NAME).finish());
    const rules = await socket.dump(attempted, type(KIND.getRule), body(RULE.table).finish());
    const elements: NetlinkMessage[] = [];
    for (const set of sets)
      elements.push(
        ...(await socket.dump(
          attempted,
          type(KIND.getElements),
          body(ELEMENTS.table).string(ELEMENTS.set, set).finish(),
        )),
      );
    // leave out the header: it has the number of the namespace's last transaction, of any program
    return joined([...table, ...rules, ...elements].map(message => message.body.subarray(header.length)));
  } catch (error) {
    if (isRefusal(error, 'ENOENT', ...NO_NFTABLES)) return undefined;
    throw error;
  } finally {
    socket?.close();
  }
}

/**
 * Removes a table. Creates it first, because removing an absent table fails the whole transaction.
 */
function removal({ family, name }: TableName): Part[] {
  return [
    { kind: KIND.newTable, flags: FLAG.create, family, attributes: named(name) },
    // without a name, this message would remove every table of the family, also other programs'
    { kind: KIND.removeTable, family, attributes: named(name) },
  ];
}

function creation({ family, name, sets = [], chains }: NfTable): Part[] {
  const parts: Part[] = [{ kind: KIND.newTable, flags: FLAG.create, family, attributes: named(name) }];
  for (const [i, set] of sets.entries()) parts.push(...setCreation(family, name, set, i + 1));
  for (const chain of chains) {
    const attributes = new AttributeWriter()
      .string(CHAIN.table, name)
      .string(CHAIN.name, chain.name)
      .nest(CHAIN.hook, hook =>
        hook.bytes(HOOK.number, be32(HOOKS[chain.hook])).bytes(HOOK.priority, be32(chain.priority)),
      )
      .bytes(CHAIN.policy, be32(ACCEPT))
      .string(CHAIN.type, chain.type ?? 'filter');
    parts.push({ kind: KIND.newChain, flags: FLAG.create, family, attributes });
  }
  for (const { name: chain, rules } of chains)
    for (const rule of rules) {
      const attributes = new AttributeWriter()
        .string(RULE.table, name)
        .string(RULE.chain, chain)
        .nest(RULE.expressions, list => {
          for (const expression of rule) expression(list);
        });
      parts.push({ kind: KIND.newRule, flags: FLAG.create | FLAG.append, family, attributes });
    }
  return parts;
}

function setCreation(family: Family, table: string, { name, ranges }: NfSet, id: number): Part[] {
  const attributes = new AttributeWriter()
    .string(SET.table, table)
    .string(SET.name, name)
    .bytes(SET.flags, be32(OF_INTERVALS))
    .bytes(SET.keyType, be32(KEY_TYPE[family]))
    .bytes(SET.keyLength, be32(addressSize(family)))
    .bytes(SET.id, be32(id));
  const parts: Part[] = [{ kind: KIND.newSet, flags: FLAG.create, family, attributes }];
  const edges = ranges.flatMap(({ first, end }) => [
    { key: first, flags: 0 },
    ...(end ? [{ key: end, flags: INTERVAL_END }] : []),
  ]);
  for (let at = 0; at < edges.length; at += ELEMENTS_AT_ONCE) {
    const some = new AttributeWriter()
      .string(ELEMENTS.table, table)
      .string(ELEMENTS.set, name)
      .nest(ELEMENTS.list, list => {
        for (const { key, flags } of edges.slice(at, at + ELEMENTS_AT_ONCE))
          list.nest(LIST_ELEMENT, element => {
            element.nest(ELEMENT.key, value => value.bytes(DATA_VALUE, key));
            if (flags !== 0) element.bytes(ELEMENT.flags, be32(flags));
          });
      });
    parts.push({ kind: KIND.newElements, flags: FLAG.create, family, attributes: some });
  }
  return parts;
}

function named(name: string): AttributeWriter {
  return new AttributeWriter().string(TABLE_NAME, name);
}

/** Applies all parts or none. The kernel answers each part; the first refusal names the cause. */
function transact(port: NetlinkPort, attempted: string, parts: readonly Part[]): Promise<void> {
  const messages = [
    batchEdge(BATCH.begin),
    ...parts.map(({ kind, flags = 0, family, attributes }) => ({
      type: (SUBSYSTEM << 8) | kind,
      flags: FLAG.request | FLAG.ack | flags,
      body: new Uint8Array([familyNumber(family), 0, 0, 0, ...attributes.finish()]),
    })),
    batchEdge(BATCH.end),
  ].map((message, i) => encodeMessage({ ...message, sequence: i, port: 0 }));
  return new Promise<void>((resolve, reject) => {
    let channel: NetlinkChannel | undefined;
    const end = (finish: () => void): void => {
      channel?.close();
      finish();
    };
    try {
      channel = attempt(attempted, () =>
        port.open(NETLINK_NETFILTER, [], {
          datagram: bytes => {
            for (const message of decodeMessages(bytes)) {
              if (message.type !== MESSAGE.error) continue;
              const { errno, ...words } = decodeVerdict(message);
              if (errno !== 0) end(() => reject(new NetlinkError(attempted, errno, words)));
              else if (message.sequence === parts.length) end(resolve);
            }
          },
          lost: () => end(() => reject(new Error(`${attempted}: the kernel's answer was lost`))),
          failed: error => end(() => reject(error)),
        }),
      );
      const opened = channel;
      attempt(attempted, () => opened.send(joined(messages)));
    } catch (error) {
      end(() => reject(error));
    }
  });
}

function batchEdge(type: number): { type: number; flags: number; body: Uint8Array } {
  // the kernel expects the subsystem's number in network order
  return { type, flags: FLAG.request, body: Uint8Array.of(0, 0, 0, SUBSYSTEM) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
