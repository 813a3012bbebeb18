/** Plans the link of an interface: the first steps of every `up`. Pure. */
import type { Snapshot } from './snapshot.ts';
import type { DeviceKind, QuickState } from './state.ts';
import type { Step } from './step.ts';

type LinkSnapshot = Pick<Snapshot, 'link' | 'status'>;

/**
 * Plans the link alone, before PreUp and everything else. A new link has none of the settings that
 * hooks and files made on an earlier one.
 * @param before state of the existing link; undefined if it does not apply to this file
 */
export function planLink(backend: DeviceKind, before: QuickState | undefined, now: LinkSnapshot): Step[] {
  if (isWhole(before, backend, now)) return [];
  const blank = { hooksDone: [], configured: undefined, addresses: undefined, routes: undefined };
  return [{ do: 'remember', change: blank }, ...makeLink(backend, now)];
}

/**
 * A device that was not seen complete may be about to end, and another kind of device is of no use.
 */
export function isWhole(before: QuickState | undefined, backend: DeviceKind, { link, status }: LinkSnapshot): boolean {
  return link !== undefined && status !== undefined && before?.made === true && before.backend === backend;
}

/**
 * The kind is recorded between removal and creation, because the kind identifies the link as ours.
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
