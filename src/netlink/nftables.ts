/**
 * nf_tables over netlink: whole tables are put in place or taken away, each time in one transaction, so that there is no instant with half of
 * one. Left out: all that is not needed for that, such as reading tables, sets, and single rules.
 */
import { AttributeWriter } from './attributes.ts';
import { NetlinkError } from './errors.ts';
import { type Family, familyNumber } from './family.ts';
import { decodeMessages, decodeVerdict, encodeMessage, FLAG, MESSAGE } from './message.ts';
import { be32, type Expression } from './nft-expression.ts';
import { NETLINK_NETFILTER, type NetlinkChannel, type NetlinkPort } from './port.ts';
import { attempt } from './socket.ts';

const BATCH = { begin: 0x10, end: 0x11 } as const;
const SUBSYSTEM = 10;
const KIND = { newTable: 0, removeTable: 2, newChain: 3, newRule: 6 } as const;
const TABLE_NAME = 1;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
const HOOK = { number: 1, priority: 2 } as const;
const RULE = { table: 1, chain: 2, expressions: 4 } as const;
const ACCEPT = 1;
const HOOKS = { prerouting: 0, postrouting: 4 } as const;

export interface NfTable {
  readonly family: Family;
  readonly name: string;
  readonly chains: readonly NfChain[];
}

export interface NfChain {
  readonly name: string;
  readonly hook: keyof typeof HOOKS;
  readonly priority: number;
  readonly rules: readonly (readonly Expression[])[];
}

interface Part {
  readonly kind: number;
  readonly flags?: number;
  readonly family: Family;
  readonly attributes: AttributeWriter;
}

/** Puts these in the place of what has their names. @throws NetlinkError: what a kernel without nf_tables, or without an expression, says */
export async function replaceTables(port: NetlinkPort, tables: readonly NfTable[]): Promise<void> {
  const names = tables.map(({ name, family }) => `${name} (IPv${family})`).join(', ');
  const parts = [...tables.flatMap(removal), ...tables.flatMap(creation)];
  await transact(port, `setting nftables ${names}`, parts);
}

/** Whether or not they are there. */
export async function removeTables(port: NetlinkPort, tables: readonly Omit<NfTable, 'chains'>[]): Promise<void> {
  const names = tables.map(({ name, family }) => `${name} (IPv${family})`).join(', ');
  await transact(port, `removing nftables ${names}`, tables.flatMap(removal));
}

/** Made first if it is not there: removing what is not there would fail, and with it all. */
function removal({ family, name }: Omit<NfTable, 'chains'>): Part[] {
  const attributes = named(name);
  return [
    { kind: KIND.newTable, flags: FLAG.create, family, attributes },
    { kind: KIND.removeTable, family, attributes },
  ];
}

function creation({ family, name, chains }: NfTable): Part[] {
  const parts: Part[] = [{ kind: KIND.newTable, flags: FLAG.create, family, attributes: named(name) }];
  for (const chain of chains) {
    const attributes = new AttributeWriter()
      .string(CHAIN.table, name)
      .string(CHAIN.name, chain.name)
      .nest(CHAIN.hook, hook =>
        hook.bytes(HOOK.number, be32(HOOKS[chain.hook])).bytes(HOOK.priority, be32(chain.priority)),
      )
      .bytes(CHAIN.policy, be32(ACCEPT))
      .string(CHAIN.type, 'filter');
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

function named(name: string): AttributeWriter {
  return new AttributeWriter().string(TABLE_NAME, name);
}

/** All of them or none. The kernel answers for each, the first refusal is the cause. */
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
  // the subsystem's number is in network order
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
