/**
 * --allocate: holds an address only while the key is on the Node, requests it only after a change,
 * and releases it once.
 */
import { expect, test } from 'vitest';
import type { AgentAllocator } from '../../../src/calico/agent/dependencies.ts';
import { ADDRESS_ANNOTATION, KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import type { Allocation } from '../../../src/calico/publish/ipam/allocator.ts';
import { blockWith, felix, keyOf, keyText, pool } from './cluster.ts';
import { Scene } from './scene.ts';

const [KEY, ADDRESS] = [KEY_ANNOTATION[4], ADDRESS_ANNOTATION[4]];
const BROKEN = { ready: false, error: { step: 'link' as const, message: 'no' } };
const OFF = { felixConfigurations: felix({ wireguardenabled: 'false' }) };
const ON = { felixConfigurations: felix({ wireguardenabled: 'true' }), ipPools: pool('a', '192.168.0.0/16') };

class Ipam implements AgentAllocator {
  readonly calls: string[] = [];
  scene: Scene | undefined;
  ensured: () => Promise<Allocation> = async () => {
    this.#say('192.168.1.5');
    return { address: Uint8Array.of(192, 168, 1, 5) };
  };
  released: () => Promise<Allocation> = async () => {
    this.#say(undefined);
    return {};
  };

  ensure(family: number, annotated: string | undefined): Promise<Allocation> {
    this.calls.push(`ensure ${family} ${annotated ?? '-'}`);
    expect(this.scene?.own).toHaveProperty([KEY]);
    return this.ensured();
  }

  release(family: number, annotated: string | undefined): Promise<Allocation> {
    this.calls.push(`release ${family} ${annotated ?? '-'}`);
    return family === 4 ? this.released() : Promise.resolve({});
  }

  #say(address: string | undefined): void {
    const { scene } = this;
    if (!scene?.own) return;
    const { [ADDRESS]: _, ...others } = scene.own;
    scene.own = { ...others, ...(address && { [ADDRESS]: address }) };
    scene.clock.after(1, () => scene.tell());
  }
}

/** Drops the entries of the family that is off. */
function calls(ipam: Ipam): string[] {
  return ipam.calls.splice(0).filter(call => !call.includes(' 6 '));
}

function scene(): { scene: Scene; ipam: Ipam } {
  const ipam = new Ipam();
  const made = new Scene({ allocator: ipam });
  ipam.scene = made;
  made.more = ON;
  return { scene: made, ipam };
}

async function running(): Promise<{ scene: Scene; ipam: Ipam }> {
  const both = scene();
  await both.scene.started();
  await both.scene.pass(100);
  return both;
}

test('allocates once, after the key; --once waits for the address; the device gets it', async () => {
  const { scene: one, ipam } = scene();
  one.patch = () => Promise.reject(new Error('503'));
  let done = false;
  void one.agent.waitUntilConverged(60_000).then(value => (done = value));
  await one.started();
  await one.pass(3000);
  expect(calls(ipam)).toEqual([]);
  one.patch = async () => {};
  let release: () => void = () => {};
  const { ensured } = ipam;
  ipam.ensured = async () => {
    await new Promise<void>(resolve => (release = resolve));
    return ensured();
  };
  await one.pass(10_000);
  expect(done).toBe(false);
  release();
  await one.pass(500);
  expect(done).toBe(true);
  expect(calls(ipam)).toEqual(['ensure 4 -']);
  expect(one.applied.at(-1)?.tunnels[4]?.address).toEqual(Uint8Array.of(192, 168, 1, 5));
});

test('does not allocate again for each change of the cluster, nor while the cached Node lags', async () => {
  const { scene: one, ipam } = await running();
  calls(ipam);
  for (let i = 0; i < 20; i++) await one.told();
  const seen = one.own;
  one.own = { [KEY]: keyText(104) };
  one.more = { ...ON, ipamBlocks: blockWith('192.168.1.5') };
  expect(calls(ipam)).toEqual([]);
  one.own = seen;
  await one.told();
  // A resync sees in the IPAM's blocks that the address is still ours.
  await one.pass(200_000);
  expect(calls(ipam)).toEqual([]);
});

test('allocates again when pools change, when the annotation is lost or differs, and when the IPAM has lost the address', async () => {
  const { scene: one, ipam } = await running();
  one.more = { ...ON, ipamBlocks: blockWith('192.168.1.5') };
  await one.told();
  calls(ipam);
  one.more = { ...one.more, ipPools: pool('b', '192.168.0.0/16') };
  await one.told();
  expect(calls(ipam)).toEqual(['ensure 4 192.168.1.5']);
  for (const address of [undefined, '10.9.9.9']) {
    one.own = { [KEY]: keyText(104), ...(address && { [ADDRESS]: address }) };
    await one.told();
    await one.pass(10);
    expect(calls(ipam)).toEqual([`ensure 4 ${address ?? '-'}`]);
  }
  one.more = { ...one.more, ipamBlocks: blockWith('192.168.1.6') };
  await one.told();
  expect(calls(ipam)).toEqual([]);
  await one.pass(90_000);
  expect(calls(ipam)).toEqual(['ensure 4 192.168.1.5']);
});

test('does not allocate while the cluster is unreadable', async () => {
  const { scene: one, ipam } = await running();
  calls(ipam);
  Object.assign(one, { stale: 'away', own: { [KEY]: keyText(104) } });
  await one.told();
  await one.pass(200_000);
  expect(calls(ipam)).toEqual([]);
});

test('a failure is a problem while it lasts and ends no turn; transient failures are retried soon', async () => {
  const { scene: one, ipam } = scene();
  const { ensured } = ipam;
  ipam.ensured = async () => ({ problem: { object: 'Node/n1', reason: 'NoIPPool', message: 'none' } });
  await one.started();
  await one.pass(30_000);
  expect(calls(ipam).length).toBe(1);
  expect(one.agent.status.problems.map(({ reason }) => reason)).toEqual(['NoIPPool']);
  for (let i = 0; i < 5; i++) await one.told();
  expect(one.agent.status.problems.map(({ reason }) => reason)).toEqual(['NoIPPool']);
  ipam.ensured = () => Promise.reject(new Error('a bug'));
  await one.pass(90_000);
  await one.pass(20_000);
  expect(calls(ipam).length).toBeGreaterThan(3);
  expect(one.agent.status.problems).toMatchObject([{ reason: 'AddressNotAllocated', message: /a bug/ }]);
  expect(one.agent.status.failure).toBeUndefined();
  ipam.ensured = ensured;
  await one.pass(10_000);
  expect(one.agent.status.problems).toEqual([]);
});

test('releases the address once, after the key is withdrawn; reports and retries failures', async () => {
  const { scene: one, ipam } = await running();
  calls(ipam);
  const { released } = ipam;
  ipam.released = async () => {
    expect(one.own).not.toHaveProperty([KEY]);
    return { problem: { object: 'Node/n1', reason: 'AddressNotAllocated', message: '503' } };
  };
  one.more = OFF;
  await one.told();
  await one.pass(10);
  expect(one.agent.status.problems).toMatchObject([{ message: '503' }]);
  ipam.released = async () => {
    throw new Error('a bug');
  };
  await one.pass(600);
  ipam.released = released;
  await one.pass(5000);
  expect(one.agent.status.problems).toEqual([]);
  expect(one.own).toEqual({});
  expect(calls(ipam).length).toBeGreaterThanOrEqual(3);
  await one.pass(200_000);
  for (let i = 0; i < 5; i++) await one.told();
  expect(calls(ipam)).toEqual([]);
});

test('releases the address while a tunnel is broken, and allocates again with the key', async () => {
  const { scene: one, ipam } = await running();
  calls(ipam);
  one.outcome = () => BROKEN;
  await one.told();
  await one.pass(10);
  expect(calls(ipam)).toEqual(['release 4 192.168.1.5']);
  one.outcome = () => ({});
  await one.pass(1000);
  await one.pass(10);
  expect(calls(ipam)).toEqual(['ensure 4 -']);
});

test("a Node with another owner's key, such as Felix's where the kernel has WireGuard, keeps its address", async () => {
  const { scene: one, ipam } = scene();
  one.kernelHasWireguard = async () => true;
  one.keys = { 4: keyOf(104) };
  one.own = { [KEY]: keyText(7), [ADDRESS]: '192.168.1.9' };
  await one.started();
  await one.pass(100_000);
  expect(calls(ipam)).toEqual([]);
  expect(one.own).toEqual({ [KEY]: keyText(7), [ADDRESS]: '192.168.1.9' });
});

test('a key published again during the release gets an address after it, never concurrently', async () => {
  const { scene: one, ipam } = await running();
  calls(ipam);
  let finish: () => void = () => {};
  const { released, ensured } = ipam;
  let inside = 0;
  ipam.released = async () => {
    inside++;
    await new Promise<void>(resolve => (finish = resolve));
    inside--;
    return released();
  };
  ipam.ensured = async () => {
    expect(inside).toBe(0);
    return ensured();
  };
  one.outcome = () => BROKEN;
  await one.told();
  await one.pass(10);
  one.outcome = () => ({});
  await one.pass(1000);
  expect(calls(ipam)).toEqual(['release 4 192.168.1.5']);
  finish();
  await one.pass(2000);
  expect(one.own).toEqual({ [KEY]: keyText(104), [ADDRESS]: '192.168.1.5' });
  // The superseded withdrawal must not count as done: the key is withdrawn when the family is off.
  one.more = { ...ON, ...OFF };
  await one.told();
  finish();
  await one.pass(10);
  expect(one.own).not.toHaveProperty([KEY]);
});
