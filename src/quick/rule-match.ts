/** Decides whether a rule of the kernel is a recorded rule: all of its attributes must match. */
import type { Rule } from '../netlink/rules.ts';
import type { RuleState } from './state.ts';
import { kernelRule } from './step.ts';

export function sameRule(rule: Rule, state: RuleState, table: number): boolean {
  const ours = kernelRule(state, table);
  return (
    rule.family === ours.family &&
    rule.priority === ours.priority &&
    rule.table === ours.table &&
    rule.mark === ours.mark &&
    rule.mask === undefined &&
    (rule.invert ?? false) === (ours.invert ?? false) &&
    rule.suppressPrefixLength === ours.suppressPrefixLength &&
    !rule.source &&
    !rule.destination &&
    rule.inputName === undefined &&
    rule.outputName === undefined
  );
}

export function isThere(state: RuleState, table: number, rules: readonly Rule[]): boolean {
  return rules.some(rule => sameRule(rule, state, table));
}
