/**
 * Maintains the rule that sends packets to the tunnel's table
 * (docs/reference/calico-felix.md#rule): `not from all fwmark M/M lookup T`. We own every rule to
 * that table, so all others are removed. The right rule is added before wrong ones are removed, so
 * that traffic never falls back to the main table.
 */
import { isRefusal } from '../../../netlink/errors.ts';
import { describeRule, type NewRule, RULE_ACTION, type Rule } from '../../../netlink/rules.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';
import { isOwnTable } from './routes.ts';

const MAX_PASSES = 5;
const WHOLE_MARK = 0xffffffff;

export async function ensureRule(context: ApplyContext, tunnel: DesiredTunnel): Promise<void> {
  const wanted = ruleOf(tunnel);
  // RTM_DELRULE matches by attributes but ignores `not`, so a delete can hit the wrong rule.
  // Re-read and retry.
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const { right, wrong } = await readRules(context, tunnel.table, wanted);
    if (right && wrong.length === 0) return;
    if (!right) await add(context, wanted);
    for (const rule of wrong) await remove(context, rule);
  }
  throw new Error(
    `the rule ${describeRule(wanted)} does not stay as we set it: another program changes it; find it, or choose another table`,
  );
}

/** Removes every rule to the table. Idempotent. */
export async function removeRules(context: ApplyContext, table: number): Promise<void> {
  if (!isOwnTable(table)) return;
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const { wrong } = await readRules(context, table);
    if (wrong.length === 0) return;
    for (const rule of wrong) await remove(context, rule);
  }
  throw new Error(
    `another program adds rules to table ${table} as fast as we remove them: find it, or choose another table`,
  );
}

async function readRules(
  { host, family }: ApplyContext,
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

async function add({ host, recordChange }: ApplyContext, rule: NewRule): Promise<void> {
  recordChange(`rule ${describeRule(rule)}: added`);
  try {
    await host.network.rules.add(rule);
  } catch (error) {
    // The kernel considers an existing wrong rule equal. This pass removes that rule, and the next
    // pass adds ours.
    if (!isRefusal(error, 'EEXIST')) throw error;
  }
}

async function remove({ host, recordChange }: ApplyContext, rule: Rule): Promise<void> {
  recordChange(`rule ${describeRule(rule)}: removed`);
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
