/** The limits of the tunnel's MTU, and the problems that tell what to correct. */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { goRegexp } from '../../../../src/calico/plan/config/go-regexp.ts';
import { type MtuInput, tunnelMtu } from '../../../../src/calico/plan/dataplane/mtu.ts';

const of = (family: Family, hostMtu: number, more: Partial<MtuInput> = {}) =>
  tunnelMtu({
    family,
    configured: 0,
    pattern: goRegexp('^eth')!,
    hostEncryption: false,
    facts: { links: [{ name: 'eth0', mtu: hostMtu, up: true }], aks: false },
    ownInterfaces: [],
    ...more,
  });

describe.each([
  [4, 60, 68, 'WireguardMTU'],
  [6, 80, 1280, 'WireguardMTUV6'],
] as const)('the MTU of IPv%i', (family, overhead, least, name) => {
  test('is derived down to the minimum of the family without a problem', () => {
    expect(of(family, least + overhead)).toEqual({ mtu: least, problems: [] });
  });

  test('below it is the minimum, with a problem that names the links to raise', () => {
    const { mtu, problems } = of(family, least + overhead - 1);
    expect(mtu).toBe(least);
    expect(problems).toEqual([{ object: 'Host', reason: 'MtuTooSmall', message: expect.any(String) }]);
    expect(problems[0]!.message).toMatch(new RegExp(`leave ${least - 1} bytes .*IPv${family} needs ${least}.*\\^eth`));
  });

  test('is the configured one from the minimum on, whatever the host has', () => {
    expect(of(family, 100, { configured: least })).toEqual({ mtu: least, problems: [] });
    expect(of(family, 1500, { configured: 9000 })).toEqual({ mtu: 9000, problems: [] });
  });

  test('that is configured too small is derived, with a problem that names the parameter', () => {
    const { mtu, problems } = of(family, 1500, { configured: least - 1 });
    expect(mtu).toBe(1500 - overhead);
    expect(problems).toEqual([{ object: 'FelixConfiguration', reason: 'InvalidMtu', message: expect.any(String) }]);
    expect(problems[0]!.message).toMatch(
      new RegExp(
        `^${name} is ${least - 1}, but IPv${family} needs at least ${least}; the agent uses ${mtu}: correct ${name},`,
      ),
    );
    // the cause is the parameter, so the host is not blamed too
    expect(of(family, 100, { configured: 1 }).problems.map(({ reason }) => reason)).toEqual(['InvalidMtu']);
  });
});

test('links without an MTU, down, of another name, or of our own do not count', () => {
  const facts = {
    links: [
      { name: 'eth0', mtu: 1500, up: true },
      { name: 'eth1', mtu: 0, up: true },
      { name: 'eth2', mtu: 1000, up: false },
      { name: 'lo', mtu: 900, up: true },
      { name: 'eth-tunnel', mtu: 800, up: true },
    ],
    aks: false,
  };
  expect(of(4, 0, { facts, ownInterfaces: ['eth-tunnel'] }).mtu).toBe(1440);
  expect(of(4, 0, { facts }).mtu).toBe(740);
});
