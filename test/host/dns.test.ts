/** The calls of resolvconf and resolvectl, with stand-ins that record their arguments and input. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DnsPlaces, setDns, unsetDns } from '../../src/host/dns.ts';

let folder: string;
let bin: string;
let places: Required<DnsPlaces>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-dns-'));
  bin = join(folder, 'bin');
  mkdirSync(bin);
  places = { path: bin, interfaceOrder: join(folder, 'interface-order') };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a program that records its call and then runs the given text. */
function program(path: string, then = ''): string {
  writeFileSync(
    path,
    `#!/bin/sh\necho "\${0##*/} $*" >>${folder}/log\n[ "$1" != -a ] || sed 's/^/< /' >>${folder}/log\n${then}\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

function told(): string[] {
  const lines = readFileSync(join(folder, 'log'), 'utf8').trimEnd().split('\n');
  rmSync(join(folder, 'log'));
  return lines;
}

const DEBIAN = '# interface-order(5)\nlo.inet6\nlo.inet\nlo.@(dnsmasq|pdnsd)\nlo\ntun*\ntap*\nhso*\n*\n';
const SERVERS = ['10.9.0.1', 'fd00::1'];
const RESOLVED = [
  'resolvectl dns wg.0 10.9.0.1 fd00::1',
  'resolvectl domain wg.0 example.org corp ~.',
  'resolvectl default-route wg.0 yes',
];

describe('resolvconf', () => {
  test('openresolv is called as wg-quick calls it', async () => {
    program(join(bin, 'resolvconf'));
    program(join(bin, 'resolvectl'));
    await setDns('wg.0', SERVERS, ['example.org', 'corp'], places);
    await unsetDns('wg.0', true, places);
    expect(told()).toEqual([
      'resolvconf -a wg.0 -m 0 -x',
      '< nameserver 10.9.0.1',
      '< nameserver fd00::1',
      '< search example.org corp',
      'resolvconf -d wg.0 -f',
    ]);
    // openresolv itself keeps the entry of an interface that is gone
    await unsetDns('wg.0', false, places);
    expect(told()).toEqual(['resolvconf -d wg.0 -f']);
  });

  test('domains alone are not exclusive, since no server would be left', async () => {
    program(join(bin, 'resolvconf'));
    await setDns('wg0', [], ['example.org'], places);
    expect(told()).toEqual(['resolvconf -a wg0 -m 0', '< search example.org']);
  });

  test.each([
    [DEBIAN, 'tun.'],
    ['lo\nvpn-1*\ntun*\n', 'vpn-1.'],
    ['  tun*  \n', 'tun.'],
    ['lo\neth0\nlo.*\n*\n@(a)*\n', ''],
    ['', ''],
  ])("Debian's orders by %j", async (order, prefix) => {
    program(join(bin, 'resolvconf'));
    writeFileSync(places.interfaceOrder, order);
    await setDns('wg0', ['10.9.0.1'], [], places);
    await unsetDns('wg0', true, places);
    expect(told()).toEqual([
      `resolvconf -a ${prefix}wg0 -m 0 -x`,
      '< nameserver 10.9.0.1',
      `resolvconf -d ${prefix}wg0 -f`,
    ]);
  });

  test('a link to another resolvconf has no prefix, whatever files Debian left behind', async () => {
    writeFileSync(places.interfaceOrder, DEBIAN);
    symlinkSync(program(join(folder, 'openresolv')), join(bin, 'resolvconf'));
    await setDns('wg0', ['10.9.0.1'], [], places);
    expect(told()).toEqual(['resolvconf -a wg0 -m 0 -x', '< nameserver 10.9.0.1']);
  });
});

describe('systemd-resolved', () => {
  test('behind a link called resolvconf is called directly, with the whole name', async () => {
    writeFileSync(places.interfaceOrder, DEBIAN);
    // the target and the steps on the way may be links themselves
    program(join(folder, 'wrapped'));
    symlinkSync('wrapped', join(folder, 'resolvectl'));
    symlinkSync('../resolvectl', join(bin, 'between'));
    symlinkSync('between', join(bin, 'resolvconf'));
    await setDns('wg.0', SERVERS, ['example.org', 'corp'], places);
    await unsetDns('wg.0', true, places);
    expect(told()).toEqual([...RESOLVED, 'resolvectl revert wg.0']);
  });

  test('alone', async () => {
    program(join(bin, 'resolvectl'));
    await setDns('wg.0', SERVERS, ['example.org', 'corp'], places);
    expect(told()).toEqual(RESOLVED);
    await setDns('wg0', [], ['example.org'], places);
    await unsetDns('wg0', true, places);
    // it has forgotten an interface that is gone, and would refuse its name
    await unsetDns('wg0', false, places);
    expect(told()).toEqual(['resolvectl domain wg0 example.org', 'resolvectl revert wg0']);
  });

  test('before 240 has no default-route command and works without it', async () => {
    program(join(bin, 'resolvectl'), '[ $1 != default-route ]');
    await setDns('wg.0', SERVERS, ['example.org', 'corp'], places);
    expect(told()).toEqual(RESOLVED);
  });
});

test.each(['resolvconf', 'resolvectl'])('a failing %s is an error that names the command', async name => {
  program(join(bin, name), 'exit 4');
  await expect(setDns('wg0', SERVERS, [], places)).rejects.toThrow(/bin\/resolv\S+ .*wg0.* ended with status 4$/);
  await expect(unsetDns('wg0', true, places)).rejects.toThrow(/bin\/resolv\S+ .*wg0.* ended with status 4$/);
});

test('without either program DNS is an error, and removing it does nothing', async () => {
  mkdirSync(join(bin, 'resolvconf'));
  await expect(setDns('wg0', SERVERS, [], places)).rejects.toThrow(/neither resolvconf nor resolvectl is installed/);
  await unsetDns('wg0', true, places);
});
