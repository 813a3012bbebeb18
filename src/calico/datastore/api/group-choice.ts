/**
 * Chooses which of Calico's two API groups to follow. A migration (DatastoreMigration, Calico 3.32)
 * locks the old group (`datastoreReady: false` in its ClusterInformation), copies the objects and
 * unlocks the new group. The old group stays locked, and its CRDs are deleted later. Calico
 * therefore uses the group that is ready.
 */
import { CALICO_GROUPS, type CalicoGroup } from '../resource-kinds.ts';

export interface GroupView {
  /**
   * `whole`: the server has the CRDs of all kinds that the agent reads, and none of the CRDs is
   * being deleted. Calico's aggregated API server serves projectcalico.org/v3 without IPAM blocks,
   * so its group is never whole.
   */
  readonly served: 'whole' | 'partly' | 'absent';
  /** `datastoreReady`; undefined if not set, `unreadable` if permission to read it is missing. */
  readonly ready: boolean | 'unreadable' | undefined;
}

/**
 * Returns the group to follow; undefined if the server has neither group.
 * @param current the group followed so far
 */
export function chooseGroup(
  views: Readonly<Record<CalicoGroup, GroupView>>,
  current: CalicoGroup | undefined,
): CalicoGroup | undefined {
  const isReady = (group: CalicoGroup): boolean => views[group].served === 'whole' && views[group].ready === true;
  if (current) {
    const { served, ready } = views[current];
    // Stay: if both groups are ready, no migration is running; if `ready` is unreadable, we cannot
    // detect one.
    if (isReady(current) || (served === 'whole' && ready === 'unreadable')) return current;
    const other = CALICO_GROUPS.find(group => group !== current)!;
    if (isReady(other)) return other;
    // Do not move to a locked group: the migration is still copying objects into it.
    const isLeft = served === 'absent' && views[other].served === 'whole' && views[other].ready !== false;
    return isLeft ? other : current;
  }
  // Prefer v1, as Calico does: if the server has both groups, v3 is usually Calico's aggregated API
  // server, which serves the same objects.
  return (
    CALICO_GROUPS.find(isReady) ??
    CALICO_GROUPS.find(group => views[group].served === 'whole') ??
    CALICO_GROUPS.find(group => views[group].served === 'partly')
  );
}
