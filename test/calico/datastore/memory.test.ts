/** What the agent keeps of a cluster: far less than the server sends, and a bounded amount. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { GeneratedCluster } from '#dist/bench/calico/generated-cluster.js';
import { ClusterCache } from '../../../src/calico/datastore/cluster-cache.ts';
import { Planner } from '../../../src/calico/plan/planner.ts';
import { input } from '../../support/calico-cluster.ts';

const NODES = 400;
/** Measured: 17 kB. With all raw objects it was 95 kB. */
const MOST_BYTES_A_NODE = 40_000;

const generate = (nodes: number) => new GeneratedCluster({ nodes, blocksPerNode: 5, families: [4], seed: 1 });

describe('of an object', () => {
  const kept = (kind: 'Node' | 'IPAMBlock') => {
    const found = [...generate(2).objects()].find(each => each.kind === kind)!;
    const sent = JSON.stringify(found.object);
    return { sent, kept: JSON.stringify(new ClusterCache(true).read(kind, JSON.parse(sent))) };
  };

  test('a Node: no images, conditions, managed fields or annotations of others', () => {
    const node = kept('Node');
    expect(node.sent.length).toBeGreaterThan(15_000);
    expect(node.kept.length).toBeLessThan(node.sent.length / 5);
    expect(node.kept).not.toMatch(/image|condition|managedFields|kubelet|nodeid/i);
    expect(node.kept).toContain('projectcalico.org/WireguardPublicKey');
  });

  test("an IPAMBlock: the tunnel's address, but not those of the owner's pods", () => {
    const block = kept('IPAMBlock');
    expect(block.sent).toContain('k8s-pod-network');
    expect(block.kept.length).toBeLessThan(block.sent.length / 5);
    expect(block.kept).not.toMatch(/k8s-pod-network/);
    expect(block.kept).toContain('wireguardTunnelAddress');
  });
});

test('of a cluster with its plan: a bounded amount a node', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const cache = new ClusterCache(true);
  const generated = generate(NODES);
  const planner = new Planner();
  const planAgain = () => planner.plan(input(cache.cluster, { nodeName: generated.ownName }));
  const take = ({ kind, object }: { kind: 'Node' | 'IPAMBlock' | 'IPPool' | 'FelixConfiguration'; object: unknown }) =>
    cache.set(kind, cache.read(kind, JSON.parse(JSON.stringify(object))));
  collect();
  const before = process.memoryUsage().heapUsed;
  for (const each of generated.objects()) take(each);
  let plan = planAgain();
  // Many changes leave nothing behind.
  for (let i = 0; i < 500; i++) {
    const change = generated.next();
    if (change.type === 'set') take(change);
    else cache.delete(change.kind, cache.read(change.kind, change.object).key!);
    plan = planAgain();
  }
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / NODES;
  console.log(`kept of each node: ${bytes.toFixed(0)} bytes`);
  expect(plan.desired.tunnels[4]!.peers.size).toBeGreaterThan(NODES / 2);
  expect(bytes).toBeLessThan(MOST_BYTES_A_NODE);
});
