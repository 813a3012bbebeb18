/** How the kernel's log tells of a copied virtual machine, and what a lost message means. */
import { expect, test } from 'vitest';
import type { Log } from '../../src/daemon/log.ts';
import { watchSleepNotices } from '../../src/daemon/sleep-notices.ts';
import { type GenerationLogOptions, watchGenerationLog } from '../../src/daemon/vm-generation.ts';
import type { KernelLogEvents } from '../../src/io/kernel-log.ts';
import type { NetlinkPort } from '../../src/netlink/port.ts';

const RESEEDED = 'random: crng reseeded due to virtual machine fork';

function watched() {
  let events: KernelLogEvents | undefined;
  let now = 0;
  const told: string[] = [];
  watchGenerationLog({
    onNew: () => told.push('new'),
    onEnd: reason => told.push(reason),
    now: () => now,
    watch: given => {
      events = given;
      return { check: () => {}, close: () => {} };
    },
  });
  const advance = (ms: number) => {
    now += ms;
  };
  return { events: events!, told, advance };
}

test('the kernel says that it drew new randomness for a copy: a new generation, each time', () => {
  const { events, told } = watched();
  for (const text of ['random: crng init done', ` ${RESEEDED}`, `${RESEEDED}!`, RESEEDED, RESEEDED])
    events.onMessage(text);
  expect(told).toEqual(['new', 'new']);
});

test('lost messages may have said so, but count once a minute: others can make the kernel log', () => {
  const { events, told, advance } = watched();
  for (let lost = 0; lost < 100; lost++) events.onLost();
  expect(told).toEqual(['new']);
  advance(59_999);
  events.onLost();
  expect(told).toEqual(['new']);
  advance(1);
  events.onLost();
  expect(told).toEqual(['new', 'new']);
  // a message that arrives counts at any time
  events.onMessage(RESEEDED);
  expect(told).toEqual(['new', 'new', 'new']);
});

test('the end of the log is reported with its reason', () => {
  const { events, told } = watched();
  events.onEnd(new Error('read: EIO'));
  expect(told).toEqual(['read: EIO']);
});

/** Watches in a machine whose log and events a test provides. */
function notices(watchLog: typeof watchGenerationLog, open: NetlinkPort['open']) {
  const told: string[] = [];
  const at = (name: string) => (text: string) => void told.push(`${name}: ${text}`);
  const log: Log = { verbose: at('verbose'), error: at('error') };
  const stop = watchSleepNotices({
    device: { forgetSessions: why => void told.push(why), checkFirst: check => check() },
    ...{ log, netlink: { open } as NetlinkPort, isVirtual: () => true, watchLog },
    watchLogind: () => () => {},
  });
  return { told, stop };
}

test('log and events are watched side by side, and each one ends the sessions; the log is checked first', () => {
  let datagram: ((bytes: Uint8Array) => void) | undefined;
  let options: GenerationLogOptions | undefined;
  const ended: string[] = [];
  const { told, stop } = notices(
    given => {
      options = given;
      return { check: () => void ended.push('checked'), close: () => void ended.push('log') };
    },
    (_protocol, _groups, events) => {
      datagram = events.datagram;
      return { close: () => void ended.push('events') } as never;
    },
  );
  options!.onNew();
  datagram!(Buffer.from('change@/devices/platform/QEMUVGID:00\0ACTION=change\0NEW_VMGENID=1\0'));
  expect(told).toEqual(['copied', 'copied']);
  options!.onEnd('read: EIO');
  expect(told.at(-1)).toBe('error: no notice of a copied virtual machine any more: read: EIO');
  stop();
  expect(ended).toEqual(['checked', 'log', 'events']);
});

test('a log or events that cannot be had are no error, and do not keep the other from being watched', () => {
  const fail = (what: string) => () => {
    throw new Error(`${what}: EPERM`);
  };
  const { told } = notices(fail('open'), fail('bind'));
  expect(told).toEqual([
    "verbose: no notice of a copied virtual machine from the kernel's log: open: EPERM",
    "verbose: no notice of a copied virtual machine from the kernel's events: bind: EPERM",
  ]);
});
