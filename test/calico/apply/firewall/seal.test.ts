/**
 * Fail-closed: prefixes are sealed before any other step and unsealed after all others; and the
 * ranges of a set.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import { makePrefix, type Prefix, parsePrefix } from '../../../../src/base/prefix.ts';
import { rangesOf } from '../../../../src/calico/apply/firewall/ranges.ts';
import type { Desired } from '../../../../src/calico/model/desired.ts';
import { desired, FakeNode, peer, tunnel, writesOf } from '../node.ts';

const workloadPrefixes = ['cali'];

function plan(sealed: readonly string[]): Desired {
  const prefixes = sealed.map(text => parsePrefix(text)!);
  return desired([4], family =>
    tunnel(family, [peer(family, 2)], {
      firewall: { allowPort: false, masquerade: true, sealed: prefixes, workloadPrefixes },
    }),
  );
}

function sealedOf(node: FakeNode): string[] {
  return (node.tables.get(4)?.sets?.[0]?.ranges ?? []).map(({ first }) => formatAddress(first));
}

test('the seal comes before the link', async () => {
  const node = new FakeNode();
  const process = node.process();
  await process.applier.apply(plan(['10.42.7.0/26']));
  const writes = writesOf(process.operations);
  expect(writes.slice(0, 3)).toEqual(['save records', 'nft set', 'RTM_NEWLINK']);
  expect(writes.filter(name => name === 'nft set')).toHaveLength(1);
  process.close();
});

test('seals new prefixes first, and unseals old ones last', async () => {
  const node = new FakeNode();
  const process = node.process();
  await process.applier.apply(plan(['10.42.7.0/26']));
  const seen: (readonly [string, string[]])[] = [];
  const { before } = node.kernel;
  node.kernel.before = name => {
    before?.(name);
    seen.push([name, sealedOf(node)]);
  };
  const next = plan(['10.42.8.0/26']);
  const moved = desired([4], family => ({
    ...next.tunnels[family]!,
    ...tunnel(family, [peer(family, 2), peer(family, 7)]),
    firewall: next.tunnels[4]!.firewall,
  }));
  await process.applier.apply(moved);
  for (const [name, sealed] of seen) expect(sealed, name).toEqual(['10.42.7.0', '10.42.8.0']);
  expect(seen.map(([name]) => name)).toContain('RTM_NEWROUTE');
  expect(sealedOf(node)).toEqual(['10.42.8.0']);
  process.close();
});

test('after a failure in between, everything stays sealed', async () => {
  const node = new FakeNode();
  const process = node.process();
  await process.applier.apply(plan(['10.42.7.0/26']));
  const next = plan(['10.42.8.0/26']);
  const moved = desired([4], family => ({
    ...tunnel(family, [peer(family, 2), peer(family, 7)]),
    firewall: next.tunnels[4]!.firewall,
  }));
  node.kernel.failNext('WG_CMD_SET_DEVICE', 'ENOMEM');
  expect((await process.applier.apply(moved)).tunnels[4]).toMatchObject({ ready: true, error: { step: 'device' } });
  expect(sealedOf(node)).toEqual(['10.42.7.0', '10.42.8.0']);
  await process.applier.apply(moved);
  expect(sealedOf(node)).toEqual(['10.42.8.0']);
  process.close();
});

test('a resync first restores a table that another program removed or changed', async () => {
  for (const meddle of [
    (node: FakeNode) => node.tables.delete(4),
    (node: FakeNode) => node.tables.set(4, { ...node.tables.get(4)!, name: 'changed' }),
  ]) {
    const node = new FakeNode();
    const process = node.process();
    await process.applier.apply(plan(['10.42.7.0/26']));
    meddle(node);
    expect((await process.applier.apply(plan(['10.42.7.0/26']))).changes).toBe(0);
    process.operations.length = 0;
    await process.applier.resync();
    expect(writesOf(process.operations)).toEqual(['nft set']);
    expect(process.operations.indexOf('nft set')).toBeLessThan(process.operations.indexOf('RTM_GETLINK'));
    expect(sealedOf(node)).toEqual(['10.42.7.0']);
    process.close();
  }
});

test('an empty table is not created, and an earlier one is removed', async () => {
  const node = new FakeNode();
  const process = node.process();
  await process.applier.apply(plan(['10.42.7.0/26']));
  await process.applier.apply(
    desired([4], family =>
      tunnel(family, [], { firewall: { allowPort: false, masquerade: false, sealed: [], workloadPrefixes } }),
    ),
  );
  expect(node.tables.size).toBe(0);
  expect((await process.applier.resync()).changes).toBe(0);
  process.close();
});

test("the seal follows the prefix of the pods' interfaces", async () => {
  const node = new FakeNode();
  const process = node.process();
  const sealed = [parsePrefix('10.42.7.0/26')!];
  const named = (prefixes: readonly string[]): Desired =>
    desired([4], family =>
      tunnel(family, [peer(family, 2)], {
        firewall: { allowPort: false, masquerade: true, sealed, workloadPrefixes: prefixes },
      }),
    );
  const rules = (): number[] =>
    node.tables
      .get(4)!
      .chains.filter(({ name }) => name.startsWith('seal-'))
      .map(chain => chain.rules.length);
  await process.applier.apply(named(['cali']));
  expect(rules()).toEqual([5, 5]);
  for (const [prefixes, expected] of [
    [['azv'], 5],
    [['azv', 'eni'], 6],
    [['cali'], 5],
  ] as const) {
    const before = node.tables.get(4);
    expect((await process.applier.apply(named(prefixes))).changes).toBe(1);
    expect(node.tables.get(4)).not.toBe(before);
    expect(rules()).toEqual([expected, expected]);
    expect((await process.applier.apply(named(prefixes))).changes).toBe(0);
  }
  process.close();
});

test('host encryption: writes the sysctl once, before the link is made, and only for IPv4', async () => {
  for (const family of [4, 6] as const) {
    const node = new FakeNode();
    const process = node.process();
    const incomingMark = { exemptInterfaces: ['lo'], exemptPrefixes: ['cali'] };
    const what = desired([family], each =>
      tunnel(each, [], { firewall: { allowPort: true, masquerade: true, sealed: [], workloadPrefixes, incomingMark } }),
    );
    await process.applier.apply(what);
    expect(node.sysctls.get('net/ipv4/conf/all/src_valid_mark')).toBe(family === 4 ? '1' : '0');
    const firstChange = process.operations.findIndex(operation => operation.startsWith('RTM_NEW'));
    expect(process.operations.slice(0, firstChange).includes('sysctl net/ipv4/conf/all/src_valid_mark')).toBe(
      family === 4,
    );
    expect((await process.applier.resync()).changes).toBe(0);
    process.close();
  }
  const node = new FakeNode();
  node.sysctls.clear();
  const process = node.process();
  const incomingMark = { exemptInterfaces: [], exemptPrefixes: [] };
  const { tunnels } = await process.applier.apply(
    desired([4], each =>
      tunnel(each, [], { firewall: { allowPort: true, masquerade: true, sealed: [], workloadPrefixes, incomingMark } }),
    ),
  );
  expect(tunnels[4]).toMatchObject({
    ready: false,
    error: { step: 'sysctl', message: expect.stringContaining('src_valid_mark') },
  });
  process.close();
});

test('ranges hold exactly the addresses of their prefixes, and neither overlap nor touch', () => {
  const prefix = fc
    .tuple(
      fc.constantFrom(0, 1, 127, 128, 254, 255),
      fc.constantFrom(0, 64, 255),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 14, max: 32 }),
    )
    .map(([a, b, c, length]) => makePrefix(Uint8Array.of(a, b, c, c), length));
  const number = (address: Uint8Array | undefined): number =>
    address ? new DataView(address.buffer, address.byteOffset).getUint32(0) : 2 ** 32;
  const edge = ({ address, length }: Prefix): number[] => [
    number(address) - 1,
    number(address),
    number(address) + 2 ** (32 - length) - 1,
    number(address) + 2 ** (32 - length),
  ];
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 12 }), prefixes => {
      const ranges = rangesOf(prefixes).map(({ first, end }) => [number(first), number(end)] as const);
      for (const [i, [first, end]] of ranges.entries()) {
        expect(first).toBeLessThan(end);
        if (i > 0) expect(ranges[i - 1]![1]).toBeLessThan(first);
      }
      for (const at of prefixes.flatMap(edge))
        expect(ranges.some(([first, end]) => first <= at && at < end)).toBe(
          prefixes.some(({ address, length }) => number(address) <= at && at < number(address) + 2 ** (32 - length)),
        );
    }),
  );
  expect(rangesOf([parsePrefix('fd00::/8')!, parsePrefix('::/0')!])).toEqual([{ first: new Uint8Array(16) }]);
  expect(rangesOf([])).toEqual([]);
});
