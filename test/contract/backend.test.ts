/**
 * Every WireguardBackend keeps the contract: the kernel's over the fake kernel, an engine's, and
 * the control sockets of real programs.
 */
import { randomFillSync } from 'node:crypto';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { WireguardBackend } from '../../src/backend/backend.ts';
import { EngineBackend } from '../../src/backend/engine.ts';
import { KernelBackend } from '../../src/backend/kernel.ts';
import { SystemBackend } from '../../src/backend/system.ts';
import { UserspaceBackend } from '../../src/backend/userspace.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { DeviceLoop } from '../../src/daemon/device-loop.ts';
import { MemoryTun } from '../../src/io/memory/tun.ts';
import { MemoryNetwork } from '../../src/io/memory/udp.ts';
import { systemClock } from '../../src/io/system.ts';
import { Network } from '../../src/netlink/network.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import type { Device, Program } from '../netns/device.ts';
import { startDevice } from '../netns/device.ts';
import { Lab } from '../netns/lab.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { FakeKernel, type FakeKernelOptions } from '../support/fake-kernel/kernel.ts';
import type { Need } from '../support/machine.ts';
import { BACKEND_CHECKS, type BackendStage } from './backend-checks.ts';

/** @param stage must be ready before the tests begin */
function contract(stage: () => BackendStage): void {
  // not '$name': vitest would shorten it, and test:arm64 excludes tests by their names
  test.each(BACKEND_CHECKS.map(({ name, run }) => [name, run] as const))('%s', async (_name, run) => {
    const measured = await run(stage());
    if (measured) console.log(JSON.stringify({ backend: stage().backend.kind, milliseconds: measured }));
  });
}

const fakes: readonly [string, FakeKernelOptions, new (kernel: FakeKernel) => WireguardBackend][] = [
  ['of Linux 6.16', { messageSize: 32768 }, KernelBackend],
  ['before 6.16', { removesAllowedIps: false, messageSize: 4096 }, KernelBackend],
  ['found by the system’s backend', { messageSize: 32768 }, SystemBackend],
];
describe.each(fakes)('the fake kernel %s', (_name, options, Backend) => {
  const kernel = new FakeKernel(options);
  const network = new Network(kernel);
  const backend = new Backend(kernel);
  const name = `wgk${process.pid}`;
  beforeAll(() => network.links.create({ name, kind: 'wireguard', up: true }));
  afterAll(() => {
    network.close();
    backend.close();
  });
  contract(() => ({ backend, name, initiate: 'EOPNOTSUPP' }));
});

describe('an engine in this process', () => {
  const clock = systemClock();
  const network = new MemoryNetwork();
  const loop = new DeviceLoop({
    engine: new Engine({
      crypto: opensslCrypto,
      cipher: new TwinCipher(opensslPacketAead),
      random: bytes => randomFillSync(bytes),
      wall: clock.wall,
    }),
    tun: new MemoryTun({ up: false, mtu: 1420, name: 'mem0' }),
    openUdp: port => network.open([Uint8Array.of(192, 0, 2, 1)], port),
    clock,
    log: { verbose: () => {}, error: () => {} },
    onGone: () => {},
  });
  loop.start();
  afterAll(() => loop.close());
  const backend = new EngineBackend(new Map([['mem0', loop]]));
  contract(() => ({ backend, name: 'mem0', initiate: 'taken' }));
});

const programs: readonly [Program, new () => WireguardBackend, readonly Need[]][] = [
  ['ours', UserspaceBackend, []],
  ['ours', SystemBackend, []],
  ['wireguard-go', UserspaceBackend, ['wireguard-go']],
];
for (const [program, Backend, needs] of programs)
  describeWith([...NETWORK, ...needs], `the control socket of ${program}, by ${Backend.name}`, () => {
    let lab: Lab;
    let device: Device;
    const backend = new Backend();
    beforeAll(async () => {
      lab = new Lab();
      device = await startDevice(lab, await lab.namespace('backend'), program);
    });
    afterAll(async () => {
      backend.close();
      await lab?.close();
    });
    contract(() => ({
      backend,
      name: device.name,
      initiate: program === 'ours' ? 'taken' : 'refused',
      wg: async (...args) => (await device.namespace.run(['wg', ...args])).stdout,
    }));
  });
