/** How `wgts upgrade` finds a process and the settings for its successor. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isTrusted } from '../../src/daemon/device-owner.ts';
import { DEVICE_VARIABLES, START_VARIABLES } from '../../src/daemon/device-settings.ts';
import { isHere, readDeviceProcess, successorEnvironment } from '../../src/host/running-devices.ts';

test('a successor gets all variables of the old process and none of the caller', () => {
  const old = { WGTS_SANDBOX: 'off', WG_PROCESS_FOREGROUND: '1', WG_TUN_FD: '4', PATH: '/old' };
  const env = { ...{ WG_KEYLOGFILE: '/tmp/keys', WGTS_NO_OFFLOAD: '1', PATH: '/new' }, ...successorEnvironment(old) };
  const isSet = Object.entries(env).filter(([, value]) => value !== undefined);
  expect(Object.fromEntries(isSet)).toEqual({ WGTS_SANDBOX: 'off', PATH: '/new' });
  // what is unset must not be left to the caller's environment
  expect(Object.keys(successorEnvironment({})).sort()).toEqual([...DEVICE_VARIABLES, ...START_VARIABLES].sort());
});

test('every variable that the program reads for its settings is listed', () => {
  const program = readFileSync(new URL('../../src/cli/wireguard-ts-program.ts', import.meta.url), 'utf8');
  const read = [...program.matchAll(/env\['([A-Z_]+)'\]|'(WGTS?_[A-Z_]+)', env/g)].map(([, a, b]) => a ?? b);
  expect(read).toContain('WGTS_SANDBOX');
  expect(read).toContain('LOG_LEVEL');
  const listed: readonly string[] = [...DEVICE_VARIABLES, ...START_VARIABLES];
  expect(read.filter(each => each !== undefined && !listed.includes(each))).toEqual([]);
});

test('a process that no longer has the interface is not taken for the one that had it', () => {
  const reading = () => readDeviceProcess('no-such-link', process.pid);
  expect(reading).toThrow(expect.objectContaining({ code: 'ESRCH' }));
});

test('the network namespace of a process is the own one, or unknown', () => {
  expect(isHere(process.pid)).toBe(true);
  expect(isHere(2 ** 30)).toBeUndefined();
});

test('only root and the own user may be the other side', () => {
  const own = process.geteuid!();
  expect([0, own, own + 1].map(isTrusted)).toEqual([true, true, false]);
});
