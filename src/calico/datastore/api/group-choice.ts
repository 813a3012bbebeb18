/**
 * Which of Calico's two API groups is followed. Calico's move from the one to the other (DatastoreMigration, Calico 3.32) locks the old group
 * (`datastoreReady: false` in its ClusterInformation), copies, unlocks the new group and leaves the old one locked; its definitions are deleted later. So
 * the group that is ready is the one that Calico uses.
 */
import { CALICO_GROUPS, type CalicoGroup } from '../resource-kinds.ts';

export interface GroupView {
  /**
   * `whole`: the server has a definition of each kind that is read here, and none of them is being deleted. The aggregated API server of Calico serves
   * projectcalico.org/v3 without IPAM's blocks, so it is never whole.
   */
  readonly served: 'whole' | 'partly' | 'absent';
  /** `datastoreReady`. Undefined where nothing says it; `unreadable` where we may not read it. */
  readonly ready: boolean | 'unreadable' | undefined;
}

/**
 * @param current what was followed so far
 * @returns undefined where the server has neither
 */
export function chooseGroup(
  views: Readonly<Record<CalicoGroup, GroupView>>,
  current: CalicoGroup | undefined,
): CalicoGroup | undefined {
  const isReady = (group: CalicoGroup): boolean => views[group].served === 'whole' && views[group].ready === true;
  if (current) {
    const { served, ready } = views[current];
    // two that are ready are nobody's move, and neither is one whose state nobody tells us
    if (isReady(current) || (served === 'whole' && ready === 'unreadable')) return current;
    const other = CALICO_GROUPS.find(group => group !== current)!;
    if (isReady(other)) return other;
    // a group that is locked is still being filled
    const isLeft = served === 'absent' && views[other].served === 'whole' && views[other].ready !== false;
    return isLeft ? other : current;
  }
  // v1 first, as Calico has it: beside v1, v3 is usually the aggregated API server in front of the same objects
  return (
    CALICO_GROUPS.find(isReady) ??
    CALICO_GROUPS.find(group => views[group].served === 'whole') ??
    CALICO_GROUPS.find(group => views[group].served === 'partly')
  );
}
