/**
 * Plans the removal of everything that `up` made and that still exists, with or without the
 * interface. Pure. An interface without recorded state was made by wg-quick. Its removal is planned
 * from the kernel's state, as in wg-quick.
 */
import type { DeviceStatus } from '../config/model.ts';
import type { Link } from '../netlink/links.ts';
import { TABLE } from '../netlink/route.ts';
import type { Rule } from '../netlink/rules.ts';
import type { QuickFile } from './file.ts';
import { isThere } from './rule-match.ts';
import type { Snapshot } from './snapshot.ts';
import { type DeviceKind, type PolicyState, type QuickState, type RuleState, tabledRules } from './state.ts';
import type { Step } from './step.ts';

/** Plans the whole removal, except hooks and SaveConfig. */
export function planRemoval(state: QuickState, now: Snapshot): Step[] {
  const { policy } = state;
  const steps: Step[] = [];
  // Rules go first: if the link's routes were removed while the rules remain, packets would already
  // take another path.
  if (policy)
    for (const rule of tabledRules(policy).toReversed())
      if (isThere(rule, rule.table, now.rules)) steps.push({ do: 'remove-rule', rule, table: rule.table });
  if (state.dns) steps.push({ do: 'unset-dns' });
  if (now.link && isOurs(now.link, state)) steps.push({ do: 'remove-link' });
  if (policy) steps.push({ do: 'remove-firewall' });
  if (
    policy?.markWasValid !== undefined &&
    now.markValid !== policy.markWasValid &&
    !isNeededByOthers(policy, now.rules)
  )
    steps.push({ do: 'mark-valid', value: policy.markWasValid });
  return steps;
}

const KINDS: Readonly<Record<DeviceKind, string>> = { kernel: 'wireguard', userspace: 'tun' };

/**
 * Reports whether a link of this name can be the recorded link, rather than a later one of another
 * kind.
 */
export function isOurs({ kind }: Pick<Link, 'kind'>, { backend }: QuickState): boolean {
  return backend === undefined ? Object.values(KINDS).some(each => each === kind) : kind === KINDS[backend];
}

/** Returns the state that `up` would have recorded for an interface that wg-quick made. */
export function stateOfOthers(file: QuickFile, status: DeviceStatus, now: Snapshot, path: string): QuickState {
  const hasDefault = status.peers.some(({ allowedIps }) => allowedIps.some(({ length }) => length === 0));
  return assumed(file, file.table === 'auto' && hasDefault ? status.fwmark : 0, now, path);
}

/**
 * Returns the state for a link whose process died, if the recorded state is lost. The table of its
 * default route was also its mark.
 */
export function stateOfOrphan(file: QuickFile, now: Snapshot, path: string): QuickState {
  const route = now.routes.find(({ destination, table }) => destination.length === 0 && table !== TABLE.main);
  return { ...assumed(file, file.table === 'auto' && route ? route.table : 0, now, path), backend: 'userspace' };
}

function assumed(file: QuickFile, table: number, now: Snapshot, path: string): QuickState {
  return {
    version: 1,
    name: file.name,
    file: path,
    phase: 'up',
    made: true,
    dns: file.dns.length + file.search.length > 0,
    ...(table && { policy: { table, rules: rulesOfOthers(table, now.rules) } }),
    hooksDone: [],
  };
}

/**
 * Returns, for each family, the rule with the mark and the nearest rule before it that suppresses
 * default routes.
 */
function rulesOfOthers(table: number, rules: readonly Rule[]): RuleState[] {
  return ([4, 6] as const).flatMap(family => {
    const own = rules.filter(rule => rule.family === family);
    const marked = own.find(({ mark, table: other, invert }) => invert && mark === table && other === table);
    if (!marked) return [];
    const priority = marked.priority ?? 0;
    const suppress = own
      .filter(({ suppressPrefixLength, table: other }) => suppressPrefixLength === 0 && other === TABLE.main)
      .filter(rule => (rule.priority ?? 0) <= priority)
      .at(-1);
    return [
      ...(suppress ? [{ family, priority: suppress.priority ?? 0, kind: 'suppress' } as const] : []),
      { family, priority, kind: 'mark' } as const,
    ];
  });
}

/** Reports whether another tunnel has a default route by policy. */
function isNeededByOthers(policy: PolicyState, all: readonly Rule[]): boolean {
  return all.some(
    rule =>
      rule.family === 4 &&
      rule.invert === true &&
      rule.mark !== undefined &&
      !tabledRules(policy).some(
        ({ family, priority, table }) => family === 4 && priority === rule.priority && table === rule.mark,
      ),
  );
}
