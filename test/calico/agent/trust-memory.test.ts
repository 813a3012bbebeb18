/** What an agent remembers of the cluster: pools that are gone, and first publishers of keys. */
import { describe, expect, test } from 'vitest';
import { TrustMemory } from '../../../src/calico/agent/cluster/trust-memory.ts';
import type { TrustRecord } from '../../../src/calico/apply/state/trust-file.ts';
import type { Snapshot } from '../../../src/calico/datastore/datastore.ts';
import { EMPTY_CLUSTER, type IpamBlock, type IpPool } from '../../../src/calico/model/cluster.ts';
import { block, pool } from '../../support/calico-cluster.ts';
import { FakeClock } from '../publish/clock.ts';
import { felix, keyText, node } from './cluster.ts';
import { Scene } from './scene.ts';

const [OLD, NEW] = [pool('10.0.0.0/16', 26), pool('10.1.0.0/16', 26)];
const EMPTY: TrustRecord = { keyOwners: {}, pools: [] };

function snapshot(pools: readonly IpPool[], blocks: readonly IpamBlock[], owners?: Snapshot['keyOwners']): Snapshot {
  const cluster = {
    ...EMPTY_CLUSTER,
    ipPools: new Map(pools.map(each => [each.name, each])),
    ipamBlocks: new Map(blocks.map(each => [each.name, each])),
  };
  return { cluster, problems: [], synced: true, ...(owners && { keyOwners: owners }) };
}

function memory(record: TrustRecord = EMPTY) {
  const clock = new FakeClock(async () => {});
  const state = { record, writes: 0, fails: false, warned: [] as string[], seeds: [] as unknown[] };
  const store = {
    read: () => state.record,
    write: (next: TrustRecord) => {
      if (state.fails) throw new Error('/x/trust.json: no space');
      state.record = next;
      state.writes++;
    },
  };
  const make = () =>
    new TrustMemory({
      store,
      datastore: { rememberKeyOwners: owners => void state.seeds.push(owners) },
      clock,
      warn: text => void state.warned.push(text),
    });
  return { clock, state, make };
}

describe('pools', () => {
  const blocks = [block('10.0.3.0/26', 'a')];

  test('a deleted pool is remembered, also across restarts, while a block of it remains', () => {
    const { state, make } = memory();
    const first = make();
    first.observe(snapshot([OLD, NEW], blocks), false);
    expect(first.formerPools).toEqual([]);
    first.observe(snapshot([NEW], blocks), false);
    const { formerPools } = first;
    expect(formerPools).toMatchObject([{ cidr: OLD.cidr, blockSize: 26 }]);
    first.observe(snapshot([NEW], [...blocks, block('10.1.0.0/26', 'b')]), true);
    expect(first.formerPools).toBe(formerPools);
    first.close();
    const second = make();
    second.observe(snapshot([NEW], blocks), false);
    expect(second.formerPools).toMatchObject([{ blockSize: 26 }]);
    second.observe(snapshot([NEW], []), true);
    expect(second.formerPools).toEqual([]);
    second.close();
    expect(state.record.pools).toHaveLength(1);
  });

  test('a pool that was deleted while no agent ran is remembered too', () => {
    const { make } = memory();
    const first = make();
    first.observe(snapshot([OLD], blocks), false);
    first.close();
    const second = make();
    second.observe(snapshot([NEW], blocks), false);
    expect(second.formerPools).toMatchObject([{ cidr: OLD.cidr }]);
  });

  test('a pool with another block size is another pool', () => {
    const { make } = memory();
    const one = make();
    one.observe(snapshot([OLD], blocks), false);
    one.observe(snapshot([{ ...OLD, blockSize: 28 }], blocks), false);
    expect(one.formerPools).toMatchObject([{ blockSize: 26 }]);
  });
});

test('owners of keys go to the datastore and to the disk, one write for many changes', async () => {
  const kept = { 4: new Map([[keyText(1), 'n1']]) };
  const { clock, state, make } = memory({ ...EMPTY, keyOwners: kept });
  const one = make();
  expect(state.seeds).toEqual([kept]);
  for (let i = 2; i < 9; i++) one.observe(snapshot([], [], { 4: new Map([[keyText(i), `n${i}`]]) }), false);
  expect(state.writes).toBe(0);
  await clock.pass(6000);
  expect(state.writes).toBe(1);
  expect(state.record.keyOwners[4]).toEqual(new Map([[keyText(8), 'n8']]));
  one.close();
  expect(state.writes).toBe(1);
  state.fails = true;
  one.observe(snapshot([OLD], []), false);
  one.close();
  expect(state.warned).toEqual([expect.stringContaining('/x/trust.json')]);
});

describe('the agent', () => {
  const contradiction = () => node(2, { 'projectcalico.org/IPv4WireguardInterfaceAddr': '10.9.9.9' });

  test('reports a contradiction between objects only once it has lasted, and then at once', async () => {
    const scene = await new Scene().started();
    scene.others = new Map([['n2', contradiction()]]);
    await scene.told();
    await scene.pass(9000);
    expect(scene.reasons).not.toContain('UnassignedTunnelAddress');
    await scene.pass(2000);
    expect(scene.reasons.filter(each => each === 'UnassignedTunnelAddress')).toHaveLength(1);
    expect(scene.events.find(({ reason }) => reason === 'UnassignedTunnelAddress')!.message).toContain('Node/n2');
    await scene.agent.stop();
  });

  test('does not report one that passes, and waits again for the next', async () => {
    const scene = await new Scene().started();
    for (let i = 0; i < 3; i++) {
      scene.others = new Map([['n2', contradiction()]]);
      await scene.told();
      await scene.pass(8000);
      scene.others = new Map([['n2', node(2)]]);
      await scene.told();
      await scene.pass(5000);
    }
    expect(scene.reasons).not.toContain('UnassignedTunnelAddress');
    await scene.agent.stop();
  });

  test('remembers before it reads, and plans with what it remembers', async () => {
    const trust = { keyOwners: { 4: new Map([[keyText(2), 'n3']]) }, pools: [] };
    const scene = new Scene({ trust });
    const copy = { 'projectcalico.org/WireguardPublicKey': keyText(2) };
    scene.others = new Map([2, 3].map(number => [`n${number}`, node(number, copy)]));
    scene.more = { felixConfigurations: felix({ wireguardenabled: 'true' }) };
    scene.keyOwners = { 4: new Map([[keyText(2), 'n3']]) };
    await scene.started();
    expect(scene.remembered).toEqual([trust.keyOwners]);
    expect(scene.agent.status.plan!.peers[4]!.map(({ node: name, plain }) => [name, plain])).toEqual([
      ['n2', 'duplicate-key'],
      ['n3', undefined],
    ]);
    await scene.agent.stop();
    expect(scene.trust.keyOwners).toEqual(scene.keyOwners);
  });

  test('plans with the addresses of the API server, and with pools that are gone', async () => {
    const scene = new Scene();
    const on = { felixConfigurations: felix({ wireguardenabled: 'true' }) };
    const ipamBlocks = new Map([['10-0-3-0-26', block('10.0.3.0/26', 'n2')]]);
    scene.more = { ...on, ipamBlocks, ipPools: new Map([[OLD.name, OLD]]) };
    scene.apiServers = [Uint8Array.of(10, 0, 3, 63)];
    await scene.started();
    const routes = () => [...scene.agent.status.plan!.desired.tunnels[4]!.routes.keys()];
    expect(routes()).toContain('10.0.3.0/27');
    expect(routes()).not.toContain('10.0.3.0/26');
    scene.more = { ...on, ipamBlocks };
    await scene.told();
    expect(routes()).toContain('10.0.3.0/27');
    await scene.agent.stop();
    expect(scene.trust.pools).toHaveLength(1);
  });
});
