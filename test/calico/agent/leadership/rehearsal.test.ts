/** What a new agent waits for before it asks the leader to step down. */
import { expect, test } from 'vitest';
import type { AgentMachine } from '../../../../src/calico/agent/dependencies.ts';
import { rehearse } from '../../../../src/calico/agent/leadership/rehearsal.ts';
import type { Datastore, Snapshot, SnapshotListener } from '../../../../src/calico/datastore/datastore.ts';
import { KEY_ANNOTATION } from '../../../../src/calico/model/annotations.ts';
import { DEFAULT_OPTIONS } from '../../../../src/calico/plan/config/options.ts';
import { clusterOf, felix, keyText, node } from '../cluster.ts';
import { settle } from './node-lock.ts';

const NODES = [node(1), node(2, { [KEY_ANNOTATION[4]]: keyText(2) })];
const ON = { felixConfigurations: felix({ wireguardenabled: 'true' }) };
const READ: Snapshot = { cluster: clusterOf(NODES, ON), problems: [], synced: true };

function rehearsal() {
  const listeners = new Set<SnapshotListener>();
  const wanted: boolean[] = [];
  const warned: string[] = [];
  const datastore = {
    watch: (listener: SnapshotListener) => {
      listeners.add(listener);
      return { close: () => void listeners.delete(listener) };
    },
    wantPods: (pods: boolean) => void wanted.push(pods),
  } as unknown as Datastore;
  const machine: AgentMachine = {
    facts: async () => ({ links: [{ name: 'eth0', mtu: 1500, up: true }], aks: false }),
    kernelHasWireguard: async () => false,
    ownPublicKey: () => {
      throw new Error('the key file cannot be read');
    },
    felixFile: () => undefined,
    trust: { read: () => ({ keyOwners: {}, pools: [] }), write: () => {} },
  };
  const abort = new AbortController();
  let isDone = false;
  const options = { nodeName: 'n1', environment: {}, plan: DEFAULT_OPTIONS, takeOver: false };
  void rehearse(options, { datastore, machine, warn: text => warned.push(text) }, abort.signal).then(() => {
    isDone = true;
  });
  const tell = async (snapshot: Snapshot): Promise<boolean> => {
    for (const listener of listeners) listener(snapshot);
    await settle();
    return isDone;
  };
  return { tell, wanted, warned, abort, listeners, isDone: () => isDone };
}

test('is ready once the whole cluster is read and planned', async () => {
  const { tell, warned, listeners } = rehearsal();
  expect(await tell({ ...READ, synced: false })).toBe(false);
  expect(await tell({ ...READ, synced: false, stale: 'no answer' })).toBe(false);
  expect(await tell(READ)).toBe(true);
  expect([warned, listeners.size]).toEqual([[], 0]);
});

test('is not ready without our Node, and says so once', async () => {
  const { tell, warned } = rehearsal();
  const without = { ...READ, cluster: clusterOf([NODES[1]!], ON) };
  expect(await tell(without)).toBe(false);
  expect(await tell(without)).toBe(false);
  expect(warned).toEqual([expect.stringMatching(/^not taking over yet: the cluster has no Node of this name/)]);
  expect(await tell(READ)).toBe(true);
});

test('waits for the pods if the plan needs them', async () => {
  const { tell, wanted } = rehearsal();
  const pods = { felixConfigurations: felix({ wireguardenabled: 'true', routesource: 'WorkloadIPs' }) };
  const cluster = clusterOf(NODES, pods);
  expect(await tell({ ...READ, cluster })).toBe(false);
  expect(wanted).toEqual([true]);
  expect(await tell({ ...READ, cluster, synced: false })).toBe(false);
  expect(await tell({ ...READ, cluster })).toBe(true);
  expect(wanted).toEqual([true]);
});

test('ends when it is aborted', async () => {
  const { abort, isDone, listeners } = rehearsal();
  abort.abort();
  await settle();
  expect([isDone(), listeners.size]).toEqual([true, 0]);
});
