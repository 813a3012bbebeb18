/** The fake kernel's rules. */
import type { Family } from '../../../src/base/family.ts';
import { formatPrefix, type Prefix } from '../../../src/base/prefix.ts';
import { Attributes } from '../../../src/netlink/attributes.ts';
import { GROUPS } from '../../../src/netlink/events.ts';
import { familyOf } from '../../../src/netlink/family.ts';
import { FLAG, type NetlinkMessage } from '../../../src/netlink/message.ts';
import { PROTOCOL, TABLE } from '../../../src/netlink/route.ts';
import {
  decodeRule,
  encodeRule,
  RULE,
  RULE_ACTION,
  RULE_HEADER_SIZE,
  RULE_MESSAGE,
  type Rule,
} from '../../../src/netlink/rules.ts';
import { type Answer, Refusal, takeOut, type World } from './world.ts';

/** Returns the initial rules of every namespace. */
export function firstRules(): Rule[] {
  const rule = (family: Family, priority: number, table: number): Rule => ({
    family,
    priority,
    action: RULE_ACTION.table,
    table,
    protocol: PROTOCOL.kernel,
  });
  return [
    rule(4, 0, TABLE.local),
    rule(4, 32766, TABLE.main),
    rule(4, 32767, TABLE.default),
    rule(6, 0, TABLE.local),
    rule(6, 32766, TABLE.main),
  ];
}

export function getRules(world: World, { body }: NetlinkMessage): Answer[] {
  const family = familyOf(body[0]);
  return world.rules
    .filter(rule => family === undefined || rule.family === family)
    .map(rule => ({ type: RULE_MESSAGE.new, body: encodeRule(rule) }));
}

export function newRule(world: World, message: NetlinkMessage): Answer[] {
  const wanted = decode(message);
  if (wanted.action === RULE_ACTION.table && wanted.table === 0) throw new Refusal('EINVAL', 'Invalid table');
  const others = world.rules.filter(({ family }) => family === wanted.family);
  // Inserts it before the second rule, as the kernel does.
  const priority = wanted.priority ?? Math.max(0, (others[1]?.priority ?? 1) - 1);
  const rule = { protocol: PROTOCOL.unspecified, ...wanted, priority };
  if (
    message.flags & FLAG.exclusive &&
    others.some(other => other.priority === priority && answersTo(other, rule, true))
  )
    throw new Refusal('EEXIST');
  const at = world.rules.findIndex(other => other.family === rule.family && other.priority! > priority);
  world.rules.splice(at < 0 ? world.rules.length : at, 0, rule);
  announce(world, RULE_MESSAGE.new, rule);
  return [];
}

export function removeRule(world: World, message: NetlinkMessage): Answer[] {
  const wanted = decode(message);
  const found = world.rules.find(rule => rule.family === wanted.family && answersTo(rule, wanted, false));
  if (!found) throw new Refusal('ENOENT');
  takeOut(world.rules, rule => rule === found);
  announce(world, RULE_MESSAGE.remove, found);
  return [];
}

/**
 * @param exactly whether attributes missing from `wanted` must be missing from the rule too, except
 * its protocol
 */
function answersTo(rule: Rule, wanted: Rule, exactly: boolean): boolean {
  const same = (a: unknown, b: unknown): boolean => (b === undefined && !exactly) || a === b;
  const text = (prefix: Prefix | undefined): string | undefined => prefix && formatPrefix(prefix);
  return (
    (wanted.action === 0 || rule.action === wanted.action) &&
    (wanted.table === 0 || rule.table === wanted.table) &&
    same(rule.priority, wanted.priority) &&
    same(rule.mark, wanted.mark) &&
    same(rule.mask, wanted.mask) &&
    same(rule.suppressPrefixLength, wanted.suppressPrefixLength) &&
    same(rule.inputName, wanted.inputName) &&
    same(rule.outputName, wanted.outputName) &&
    same(text(rule.source), text(wanted.source)) &&
    // a delete request may omit `not`
    same(text(rule.destination), text(wanted.destination))
  );
}

/** Decodes a rule, without a priority if the message has none. */
function decode(message: NetlinkMessage): Rule {
  const rule = decodeRule({ ...message, type: RULE_MESSAGE.new });
  if (!rule) throw new Refusal('EAFNOSUPPORT');
  const { priority, ...rest } = rule;
  return Attributes.parse(message.body.subarray(RULE_HEADER_SIZE), 'a rule').has(RULE.priority)
    ? { ...rest, priority: priority! }
    : rest;
}

function announce(world: World, type: number, rule: Rule): void {
  world.announce(GROUPS.rule[rule.family === 4 ? 0 : 1], type, encodeRule(rule));
}
