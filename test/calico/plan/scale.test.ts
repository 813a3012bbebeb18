/**
 * Plans 1,000 nodes with five blocks each in both families, and many changes, within the memory
 * that a node has. It prints the time but does not judge it (the goal is 50 ms a change), because
 * the machine may be busy.
 *
 * @module-tag slow
 */
import { expect, test } from 'vitest';
import type { Cluster } from '../../../src/calico/model/cluster.ts';
import type { PlanOptions } from '../../../src/calico/plan/config/options.ts';
import { Planner, plan } from '../../../src/calico/plan/planner.ts';
import { block, type ClusterObject, cluster, input, key, node } from '../../support/calico-cluster.ts';
import { enabled } from '../../support/calico-families.ts';

const NODES = 1000;
const BLOCKS = 5;
const CHANGES = 200;
const LIMIT_BYTES = 300 * 2 ** 20;

const nodeAt = (n: number, keyNumber: number) =>
  node(n === 0 ? 'me' : `node-${n}`, {
    bgp: { 4: `172.16.${n >> 8}.${n & 255}`, 6: `fd00::${n.toString(16)}` },
    key: { 4: key(keyNumber), 6: key(keyNumber + 1_000_000) },
    wireguard: { 4: `10.${n >> 8}.${n & 255}.1`, 6: `fd10::${n.toString(16)}:1` },
    internal: [`172.16.${n >> 8}.${n & 255}`],
  });
const blockAt = (n: number, i: number, ...lent: readonly string[]) =>
  block(`10.${(n >> 8) + 4 * i}.${n & 255}.0/26`, n === 0 ? 'me' : `node-${n}`, ...lent);

function build(): Cluster {
  const objects: ClusterObject[] = [enabled([4, 6])];
  for (let n = 0; n < NODES; n++) {
    objects.push(nodeAt(n, n));
    for (let i = 0; i < BLOCKS; i++) objects.push(blockAt(n, i));
    objects.push(block(`fd10::${n.toString(16)}:0/122`, n === 0 ? 'me' : `node-${n}`));
  }
  return cluster(...objects);
}

test.each<[string, Partial<PlanOptions>]>([
  ['as Felix', {}],
  ['fail-closed', { failClosed: true }],
])('%s', (name, options) => {
  const start = build();
  const planner = new Planner();
  let { nodes, ipamBlocks } = start;
  const buildInput = () => input({ ...start, nodes, ipamBlocks }, { options });
  const coldAt = performance.now();
  expect(planner.plan(buildInput()).desired.tunnels[4]!.routes.size).toBeGreaterThan(NODES * BLOCKS - BLOCKS);
  const cold = performance.now() - coldAt;
  const times: number[] = [];
  for (let change = 0; change < CHANGES; change++) {
    const n = 1 + (change % (NODES - 1));
    // Change a key, remove a key, borrow an address.
    if (change % 3 === 0) nodes = new Map(nodes).set(`node-${n}`, nodeAt(n, 5000 + change));
    else if (change % 3 === 1) nodes = new Map(nodes).set(`node-${n}`, { ...nodeAt(n, n), publicKey: {} });
    else {
      const result = blockAt(n, 1, `10.${(n >> 8) + 4}.${n & 255}.9 node-${n + 1}`);
      ipamBlocks = new Map(ipamBlocks).set(result.name, result);
    }
    const one = buildInput();
    const from = performance.now();
    const result = planner.plan(one);
    times.push(performance.now() - from);
    if (change % 50 === 0) expect(result.desired).toEqual(plan(one).desired);
  }
  times.sort((a, b) => a - b);
  const mean = times.reduce((sum, each) => sum + each, 0) / times.length;
  const { rss, heapUsed } = process.memoryUsage();
  console.log(
    `plan of ${NODES} nodes, ${NODES * BLOCKS} blocks, IPv4 and IPv6, ${name}: first ${cold.toFixed(1)} ms; ${CHANGES} changes: mean ${mean.toFixed(2)} ms, ` +
      `median ${times[CHANGES / 2]!.toFixed(2)} ms, worst ${times.at(-1)!.toFixed(2)} ms; heap ${(heapUsed / 2 ** 20).toFixed(0)} MB, resident ${(rss / 2 ** 20).toFixed(0)} MB`,
  );
  expect(heapUsed).toBeLessThan(LIMIT_BYTES);
});
