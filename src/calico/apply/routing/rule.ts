/**
 * The rule that sends packets to the tunnel's table (docs/reference/calico-felix.md#rule): `not from all fwmark M/M lookup T`. Every rule to that table is ours, so any
 * that is not this one goes. The right one comes before wrong ones go, so that traffic does not fall back to the main table in between.
 */
import { isRefusal } from '../../../netlink/errors.ts';
import { describeRule, type NewRule, RULE_ACTION, type Rule } from '../../../netlink/rules.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { Work } from '../ports.ts';
import { isOwnTable } from './routes.ts';

const PASSES = 5;
const WHOLE_MARK = 0xffffffff;

export async function ensureRule(work: Work, tunnel: DesiredTunnel): Promise<void> {
  const wanted = ruleOf(tunnel);
  // what is to be removed is told by what it says, but never that it says `not`: so the wrong one may stay, and the right one go; hence the passes
  for (let pass = 0; pass < PASSES; pass++) {
    const { right, wrong } = await look(work, tunnel.table, wanted);
    if (right && wrong.length === 0) return;
    if (!right) await add(work, wanted);
    for (const rule of wrong) await remove(work, rule);
  }
  throw new Error(`the rule ${describeRule(wanted)} does not stay as it was set: somebody else changes it`);
}

/** All rules to the table. Idempotent. */
export async function removeRules(work: Work, table: number): Promise<void> {
  if (!isOwnTable(table)) return;
  for (let pass = 0; pass < PASSES; pass++) {
    const { wrong } = await look(work, table);
    if (wrong.length === 0) return;
    for (const rule of wrong) await remove(work, rule);
  }
  throw new Error(`somebody else adds rules to table ${table} as fast as they are removed`);
}

async function look(
  { host, family }: Work,
  table: number,
  wanted?: NewRule,
): Promise<{ right: Rule | undefined; wrong: Rule[] }> {
  const rules = (await host.network.rules.list(family)).filter(
    rule => rule.table === table && rule.action === RULE_ACTION.table,
  );
  const right = wanted && rules.find(rule => sameRule(rule, wanted));
  return { right, wrong: rules.filter(rule => rule !== right) };
}

function ruleOf({ family, rulePriority, table, mark }: DesiredTunnel): NewRule {
  return { family, priority: rulePriority, table, invert: true, mark, mask: mark };
}

async function add({ host, change }: Work, rule: NewRule): Promise<void> {
  change(`rule ${describeRule(rule)}: added`);
  try {
    await host.network.rules.add(rule);
  } catch (error) {
    // a wrong one that the kernel takes for the same: it goes, and the next pass adds this one
    if (!isRefusal(error, 'EEXIST')) throw error;
  }
}

async function remove({ host, change }: Work, rule: Rule): Promise<void> {
  change(`rule ${describeRule(rule)}: removed`);
  try {
    await host.network.rules.remove(rule);
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
  }
}

function sameRule(rule: Rule, wanted: NewRule): boolean {
  return (
    rule.priority === wanted.priority &&
    rule.invert === true &&
    rule.mark === wanted.mark &&
    (rule.mask ?? WHOLE_MARK) === wanted.mask &&
    !rule.source &&
    !rule.destination &&
    rule.inputName === undefined &&
    rule.outputName === undefined &&
    rule.suppressPrefixLength === undefined
  );
}
