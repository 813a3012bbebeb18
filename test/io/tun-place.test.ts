/** How often a TUN in another network namespace is looked at; the addon is a fake. */
import { expect, test, vi } from 'vitest';
import type { NativeBinding, TunHandle } from '../../src/io/native-binding.ts';
import { NativeTun } from '../../src/io/tun.ts';

/** Places, as in native/tun.h. */
const [HIDDEN, AWAY, HOME] = [-1, 0, 1];

/** Returns how many checks ten seconds bring, and what the last one said. */
function watch(place: number): { readonly checks: number; readonly isHidden: boolean | undefined } {
  const binding: Partial<NativeBinding> = {
    tunCounters: () => ({ offloads: 0, merged: 0, unmerged: 0, paused: 0, pausing: 0, refused: 0, malformed: 0 }),
    tunWasPersistent: () => false,
    tunRetry: () => {},
    tunClose: () => {},
    tunStatus: (_, out) => {
      out.set([1, 1420, place]);
      return 'wg0';
    },
    noticesOpen: () => ({}) as ReturnType<NativeBinding['noticesOpen']>,
    noticesFd: () => 9,
    noticesClose: () => {},
    pollStart: () => ({}) as ReturnType<NativeBinding['pollStart']>,
    pollStop: () => {},
  };
  const tun = new NativeTun(binding as NativeBinding, {} as TunHandle, false);
  let checks = 0;
  let isHidden: boolean | undefined;
  tun.onStatus(() => {
    checks++;
    isHidden = tun.status()?.isHidden;
  });
  vi.advanceTimersByTime(10_000);
  tun.close();
  return { checks, isHidden };
}

test('once a second at home and where it cannot be followed, more often where it can', () => {
  vi.useFakeTimers();
  try {
    expect(watch(HOME)).toEqual({ checks: 10, isHidden: false });
    expect(watch(HIDDEN)).toEqual({ checks: 10, isHidden: true });
    expect(watch(AWAY)).toEqual({ checks: 46, isHidden: false });
  } finally {
    vi.useRealTimers();
  }
});
