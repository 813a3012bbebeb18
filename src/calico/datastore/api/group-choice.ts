/**
 * Chooses which of Calico's two API groups to follow. A migration (DatastoreMigration, Calico 3.32)
 * locks the old group (`datastoreReady: false` in its ClusterInformation), copies the objects,
 * unlocks the new group and leaves the old one locked; the old CRDs are deleted later. So Calico
 * uses the group that is ready.
 */
import { CALICO_GROUPS, type CalicoGroup } from '../resource-kinds.ts';

export interface GroupView {
  /**
   * `whole`: the server has a CRD of each kind that is read here, and none is being deleted.
   * Calico's aggregated API server serves projectcalico.org/v3 without IPAM blocks, so it is never
   * whole.
   */
  readonly served: 'whole' | 'partly' | 'absent';
  /** `datastoreReady`; undefined if not set, `unreadable` without the permission to read it. */
  readonly ready: boolean | 'unreadable' | undefined;
}

/**
 * @param current the group followed so far
 * @returns undefined if the server has neither group
 */
export function chooseGroup(
  views: Readonly<Record<CalicoGroup, GroupView>>,
  current: CalicoGroup | undefined,
): CalicoGroup | undefined {
  const isReady = (group: CalicoGroup): boolean => views[group].served === 'whole' && views[group].ready === true;
  if (current) {
    const { served, ready } = views[current];
    // Two ready groups are not a migration; neither is a group whose state we may not read.
    if (isReady(current) || (served === 'whole' && ready === 'unreadable')) return current;
    const other = CALICO_GROUPS.find(group => group !== current)!;
    if (isReady(other)) return other;
    // A locked group is still being filled.
    const isLeft = served === 'absent' && views[other].served === 'whole' && views[other].ready !== false;
    return isLeft ? other : current;
  }
  // Prefer v1, as Calico does: beside v1, v3 is usually the aggregated API server of the same
  // objects.
  return (
    CALICO_GROUPS.find(isReady) ??
    CALICO_GROUPS.find(group => views[group].served === 'whole') ??
    CALICO_GROUPS.find(group => views[group].served === 'partly')
  );
}
