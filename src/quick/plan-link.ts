/** Plans the link of an interface: the first steps of every `up`. Pure. */
import { isOrphan } from '../netlink/orphan.ts';
import type { Snapshot } from './snapshot.ts';
import type { DeviceKind, QuickState } from './state.ts';
import type { Step } from './step.ts';

type LinkSnapshot = Pick<Snapshot, 'link' | 'status'>;

/**
 * Plans the link alone, before PreUp and all other steps. On a new link, the settings that hooks
 * and files made on an earlier link are gone.
 * @param before state of the existing link; undefined if the state does not apply to this file
 */
export function planLink(backend: DeviceKind, before: QuickState | undefined, now: LinkSnapshot): Step[] {
  if (isWhole(before, backend, now)) return [];
  if (before?.adopting && now.link && isOrphan(now.link)) return adoptLink();
  const blank = { hooksDone: [], adopting: undefined, configured: undefined, addresses: undefined, routes: undefined };
  return [{ do: 'remember', change: blank }, ...makeLink(backend, now)];
}

/**
 * Reports whether the existing device can stay. A device that was never recorded as complete may be
 * about to end, and a device of another kind cannot be used.
 */
export function isWhole(before: QuickState | undefined, backend: DeviceKind, { link, status }: LinkSnapshot): boolean {
  return link !== undefined && status !== undefined && before?.made === true && before.backend === backend;
}

/** Plans a new process for a link whose process died. */
function adoptLink(): Step[] {
  return [
    { do: 'remember', change: { made: undefined, configured: undefined } },
    { do: 'make-link', kind: 'userspace' },
    { do: 'remember', change: { made: true } },
  ];
}

/**
 * Plans a new link. The kind is recorded between removal and creation, because the kind identifies
 * the link as ours.
 */
export function makeLink(kind: DeviceKind, { link }: LinkSnapshot): Step[] {
  const old = [{ do: 'remember', change: { made: undefined } }, { do: 'remove-link' }] as const;
  return [
    ...(link ? old : []),
    { do: 'remember', change: { backend: kind, made: undefined } },
    { do: 'make-link', kind },
    { do: 'remember', change: { made: true } },
  ];
}
