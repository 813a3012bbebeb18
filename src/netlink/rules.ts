/**
 * Policy routing rules over rtnetlink (struct fib_rule_hdr). They decide which packets look up
 * which table, and in which order.
 */
import type { Family } from '../base/family.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import { AttributeWriter, attributesAfter } from './attributes.ts';
import { isRefusal } from './errors.ts';
import { familyNumber, familyOf, prefixOf } from './family.ts';
import { FLAG, type NetlinkMessage } from './message.ts';
import { getU32, setU32 } from './native-order.ts';
import { TABLE } from './route.ts';
import type { NetlinkSocket } from './socket.ts';

export const RULE_MESSAGE = { new: 32, remove: 33, get: 34 } as const;
export const RULE_HEADER_SIZE = 12;
export const RULE = {
  destination: 1,
  source: 2,
  inputName: 3,
  priority: 6,
  mark: 10,
  suppressPrefixLength: 14,
  table: 15,
  mask: 16,
  outputName: 17,
  protocol: 21,
} as const;
const RULE_INVERT = 0x2;
export const RULE_ACTION = { table: 1, goto: 2, nothing: 3, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
const NO_SUPPRESSION = 0xffffffff;
const WHOLE_MARK = 0xffffffff;

export interface Rule {
  readonly family: Family;
  /**
   * Rules with lower numbers come first. A new rule without a priority is inserted after the first
   * rule.
   */
  readonly priority?: number;
  /** One of RULE_ACTION. */
  readonly action: number;
  readonly table: number;
  /** `not`: the rule applies to packets that do not match. */
  readonly invert?: boolean;
  readonly source?: Prefix;
  readonly destination?: Prefix;
  readonly mark?: number;
  /** The bits of the mark to compare. If absent, all bits are compared. */
  readonly mask?: number;
  /** Ignores the table's routes whose prefix has this length or a shorter one. */
  readonly suppressPrefixLength?: number;
  readonly inputName?: string;
  readonly outputName?: string;
  /** Who added the rule: one of PROTOCOL, or another program's number. */
  readonly protocol?: number;
}

export type NewRule = Omit<Rule, 'action' | 'table'> & Partial<Pick<Rule, 'action' | 'table'>>;

export class Rules {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Lists the rules in lookup order, IPv4 first. */
  async list(family?: Family): Promise<Rule[]> {
    const rules: Rule[] = [];
    for (const each of family === undefined ? ([4, 6] as const) : [family]) {
      const header = new Uint8Array(RULE_HEADER_SIZE);
      header[0] = familyNumber(each);
      const messages = await this.#dump(`listing IPv${each} rules`, header);
      rules.push(...messages.flatMap(message => decodeRule(message) ?? []).filter(rule => rule.family === each));
    }
    return rules;
  }

  /** Adds a rule. @throws NetlinkError: EEXIST if the same rule exists */
  async add(rule: NewRule): Promise<void> {
    const body = encodeRule({ action: RULE_ACTION.table, table: TABLE.main, ...rule });
    const flags = FLAG.create | FLAG.exclusive;
    await this.#socket.request(`adding rule ${describeRule(rule)}`, RULE_MESSAGE.new, flags, body);
  }

  /**
   * Removes the first rule that matches the given fields.
   * @throws NetlinkError: ENOENT if no rule matches
   */
  async remove(rule: NewRule): Promise<void> {
    const body = encodeRule({ action: 0, table: 0, ...rule });
    await this.#socket.request(`removing rule ${describeRule(rule)}`, RULE_MESSAGE.remove, 0, body);
  }

  /** Returns an empty list if the kernel lacks the family. */
  async #dump(attempted: string, header: Uint8Array): Promise<NetlinkMessage[]> {
    try {
      return await this.#socket.dump(attempted, RULE_MESSAGE.get, header);
    } catch (error) {
      if (isRefusal(error, 'EAFNOSUPPORT')) return [];
      throw error;
    }
  }
}

/** Formats a rule as `ip rule` does: `IPv4 not fwmark 51820 table 51820`. */
export function describeRule(rule: NewRule): string {
  const { family, invert, source, destination, mark, mask, table, suppressPrefixLength, priority } = rule;
  return [
    `IPv${family}`,
    invert ? ' not' : '',
    source ? ` from ${formatPrefix(source)}` : '',
    destination ? ` to ${formatPrefix(destination)}` : '',
    mark === undefined ? '' : ` fwmark ${mark}${mask === undefined ? '' : `/${mask}`}`,
    rule.inputName === undefined ? '' : ` iif ${rule.inputName}`,
    rule.outputName === undefined ? '' : ` oif ${rule.outputName}`,
    table === undefined ? '' : ` table ${table}`,
    suppressPrefixLength === undefined ? '' : ` suppress_prefixlength ${suppressPrefixLength}`,
    priority === undefined ? '' : ` priority ${priority}`,
  ].join('');
}

export function encodeRule(rule: Rule): Uint8Array {
  const { family, priority, action, table, source, destination, mark, mask, suppressPrefixLength } = rule;
  const header = new Uint8Array(RULE_HEADER_SIZE);
  header.set([familyNumber(family), destination?.length ?? 0, source?.length ?? 0, 0, table < 256 ? table : 0]);
  header[7] = action;
  setU32(header, 8, rule.invert ? RULE_INVERT : 0);
  const writer = new AttributeWriter(header);
  if (destination && destination.length > 0) writer.bytes(RULE.destination, destination.address);
  if (source && source.length > 0) writer.bytes(RULE.source, source.address);
  if (rule.inputName !== undefined) writer.string(RULE.inputName, rule.inputName);
  if (rule.outputName !== undefined) writer.string(RULE.outputName, rule.outputName);
  if (priority !== undefined) writer.u32(RULE.priority, priority);
  if (mark !== undefined) writer.u32(RULE.mark, mark);
  if (mask !== undefined) writer.u32(RULE.mask, mask);
  if (suppressPrefixLength !== undefined) writer.u32(RULE.suppressPrefixLength, suppressPrefixLength);
  if (table !== 0) writer.u32(RULE.table, table);
  if (rule.protocol !== undefined) writer.u8(RULE.protocol, rule.protocol);
  return writer.finish();
}

/**
 * @returns undefined if the message does not concern an IPv4 or IPv6 rule
 * @throws MalformedNetlink
 */
export function decodeRule({ type, body }: NetlinkMessage): Rule | undefined {
  if (type !== RULE_MESSAGE.new && type !== RULE_MESSAGE.remove) return undefined;
  const attributes = attributesAfter(RULE_HEADER_SIZE, body, 'a rule');
  const family = familyOf(body[0]);
  if (family === undefined) return undefined;
  const mask = attributes.u32(RULE.mask);
  const mark = attributes.u32(RULE.mark) ?? (mask ? 0 : undefined);
  const suppressed = attributes.u32(RULE.suppressPrefixLength);
  const inputName = attributes.string(RULE.inputName);
  const outputName = attributes.string(RULE.outputName);
  const protocol = attributes.u8(RULE.protocol);
  return {
    family,
    // the kernel omits priority 0
    priority: attributes.u32(RULE.priority) ?? 0,
    action: body[7]!,
    table: attributes.u32(RULE.table) ?? body[4]!,
    ...(getU32(body, 8) & RULE_INVERT && { invert: true }),
    ...(body[2]! > 0 && { source: prefixOf(attributes.bytes(RULE.source), body[2]!, family, 'a rule') }),
    ...(body[1]! > 0 && { destination: prefixOf(attributes.bytes(RULE.destination), body[1]!, family, 'a rule') }),
    ...(mark !== undefined && { mark }),
    ...(mask !== undefined && mask !== WHOLE_MARK && { mask }),
    ...(suppressed !== undefined && suppressed !== NO_SUPPRESSION && { suppressPrefixLength: suppressed }),
    ...(inputName !== undefined && { inputName }),
    ...(outputName !== undefined && { outputName }),
    ...(protocol !== undefined && { protocol }),
  };
}
