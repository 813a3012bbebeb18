/**
 * --withdraw: keys first, then the local state; the exit status tells whether something is left.
 */
import { expect, test } from 'vitest';
import type { Family } from '../../../src/base/family.ts';
import type { AgentAllocator } from '../../../src/calico/agent/dependencies.ts';
import { type WithdrawDependencies, withdrawAll } from '../../../src/calico/agent/withdraw.ts';
import type { AppliedState } from '../../../src/calico/apply/applier.ts';
import type { Datastore } from '../../../src/calico/datastore/datastore.ts';
import { KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import { Publisher } from '../../../src/calico/publish/publisher.ts';
import { FakeClock } from '../publish/clock.ts';
import { clusterOf, keyOf, keyText, node } from './cluster.ts';

interface Case {
  readonly own?: Readonly<Record<string, string>>;
  readonly key?: (family: Family) => Uint8Array | undefined;
  readonly away?: boolean;
  readonly left?: AppliedState['tunnels'];
  readonly allocator?: AgentAllocator;
}

async function withdraw({ own = {}, key = () => undefined, away, left = {}, allocator }: Case) {
  const clock = new FakeClock(() => new Promise(resolve => setImmediate(resolve)));
  const log: string[] = [];
  const warnings: string[] = [];
  let annotations: Readonly<Record<string, string>> = own;
  const warn = (text: string): void => void warnings.push(text);
  const datastore = {
    watch: (listener: Parameters<Datastore['watch']>[0]) => {
      const snapshot = { cluster: clusterOf([node(1, annotations)]), problems: [], synced: true };
      clock.after(1, () => !away && listener(snapshot));
      return { close: () => void log.push('closed') };
    },
    patchNode: async (_: string, change: Readonly<Record<string, string | null>>) => {
      log.push(`patch ${Object.keys(change).join()}`);
      const merged = Object.entries({ ...annotations, ...change }).filter(([, value]) => value !== null);
      annotations = Object.fromEntries(merged) as Record<string, string>;
    },
  } as unknown as Datastore;
  const dependencies: WithdrawDependencies = {
    nodeName: 'n1',
    datastore,
    publisher: new Publisher({ node: 'n1', api: datastore, clock, log: () => {}, warn }),
    applier: {
      withdraw: async () => {
        log.push('apply');
        return { tunnels: left, changes: 1 };
      },
    },
    machine: {
      facts: () => Promise.reject(new Error('not asked')),
      kernelHasWireguard: () => Promise.reject(new Error('not asked')),
      ownPublicKey: key,
      felixFile: () => undefined,
      trust: { read: () => ({ keyOwners: {}, pools: [] }), write: () => {} },
    },
    warn,
    ...(allocator && { allocator }),
  };
  let status: number | undefined;
  const ending = withdrawAll(dependencies).then(value => (status = value));
  await clock.pass(20_000);
  await ending;
  return { status, log, warnings, annotations };
}

const ours = (family: Family) => (family === 4 ? keyOf(1) : undefined);

test('withdraws the key, then removes the rest: 0', async () => {
  const { status, log, annotations } = await withdraw({ own: { [KEY_ANNOTATION[4]]: keyText(1) }, key: ours });
  expect({ status, log, annotations }).toEqual({
    status: 0,
    log: [`patch ${KEY_ANNOTATION[4]}`, 'apply', 'closed'],
    annotations: {},
  });
});

test("another owner's key stays: 0", async () => {
  const own = { [KEY_ANNOTATION[4]]: keyText(7) };
  expect(await withdraw({ own, key: ours })).toMatchObject({ status: 0, annotations: own, log: ['apply', 'closed'] });
});

test('an unreachable cluster: removes the local state after ten seconds, and 1', async () => {
  const { status, log, warnings } = await withdraw({ key: ours, away: true });
  expect({ status, log }).toEqual({ status: 1, log: ['apply', 'closed'] });
  expect(warnings.join()).toMatch(/IPv4 key may still be on Node n1/);
});

test('something that cannot be removed: 1, and it is named', async () => {
  const left = { 4: { ready: false, interfaceName: 'wg', error: { step: 'link' as const, message: 'EBUSY' } } };
  const { status, warnings } = await withdraw({ left });
  expect(status).toBe(1);
  expect(warnings).toEqual(['wg: link: EBUSY']);
});

test('an unreadable key file does not keep the rest from being removed', async () => {
  const key = (): never => {
    throw new Error('private-key does not contain a private key');
  };
  const { status, log, warnings } = await withdraw({ key, own: { [KEY_ANNOTATION[4]]: keyText(1) } });
  expect(log).toContain('apply');
  expect(warnings.join()).toMatch(/private-key does not contain a private key/);
  // Without the key file, nothing tells whether the key is ours.
  expect(status).toBe(0);
});

test('with --allocate the address is released too; a failure is 1', async () => {
  const released: string[] = [];
  let problem: { object: string; reason: string; message: string } | undefined;
  const allocator: AgentAllocator = {
    ensure: () => Promise.reject(new Error('not asked')),
    release: async (family, annotated) => {
      released.push(`${family} ${annotated}`);
      return problem ? { problem } : {};
    },
  };
  const own = { [KEY_ANNOTATION[4]]: keyText(1), [KEY_ANNOTATION[6]]: keyText(7) };
  expect((await withdraw({ own, key: ours, allocator })).status).toBe(0);
  // The IPv6 key belongs to another owner.
  expect(released).toEqual(['4 undefined']);
  problem = { object: 'Node/n1', reason: 'AddressNotAllocated', message: '503' };
  expect((await withdraw({ own, key: ours, allocator })).status).toBe(1);
});
