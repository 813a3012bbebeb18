/**
 * Runs inside the machine with the kernel module: every check of the `wireguard` family in turn,
 * one line of JSON each.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { formatDump } from '../../src/config/show.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { systemZones } from '../../src/io/zones.ts';
import { Network } from '../../src/netlink/network.ts';
import { KernelWireguard } from '../../src/netlink/wireguard.ts';
import { CHECKS, type CheckStage, expectedPeers, key, manyPeers } from './wireguard-checks.ts';
import { BIG, type CheckResult, NETWORK_CHECK } from './wireguard-results.ts';

const port = nativeNetlink(nativeBinding());
const network = new Network(port);
const wireguard = (await KernelWireguard.open(port))!;

for (const { name, run } of CHECKS) await report(name, () => withDevice(run).then(() => ({})));
await report(BIG, () => withDevice(big));
await report(NETWORK_CHECK, () => withDevice(asLink).then(() => ({})));
network.close();
wireguard.close();

async function report(name: string, run: () => Promise<Partial<CheckResult>>): Promise<void> {
  const result: CheckResult = await run().then(
    more => ({ name, ...more }),
    (error: Error) => ({ name, error: `${error.stack}` }),
  );
  console.log(JSON.stringify(result));
}

async function withDevice<T>(run: (stage: CheckStage) => Promise<T>): Promise<T> {
  const link = await network.links.create({ name: 'wg-check', kind: 'wireguard', up: true });
  try {
    return await run({ wireguard, name: link.name });
  } finally {
    await network.links.remove(link);
  }
}

/** Compares what we set and what we read with wg's output, and measures the time. */
async function big({ name }: CheckStage): Promise<Partial<CheckResult>> {
  const peers = manyPeers(1000, 10);
  const own = { privateKey: key(5000), listenPort: 51820, fwmark: 7 };
  const before = performance.now();
  await wireguard.set(name, { ...own, replacePeers: true, peers });
  const between = performance.now();
  const status = await wireguard.get(name);
  const after = performance.now();
  const shown = execFileSync('wg', ['show', name, 'dump'], { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.ok(formatDump(status, '', systemZones) === shown, 'our get is not what wg shows');
  assert.ok(
    formatDump({ ...status, peers: expectedPeers(peers) }, '', systemZones) === shown,
    'what was set is not what wg shows',
  );
  assert.equal(status.listenPort, own.listenPort);
  const { publicKey, allowedIps } = status.peers[500]!;
  const one = performance.now();
  await wireguard.set(name, { peers: [{ publicKey, allowedIps: [{ prefix: allowedIps[3]!, remove: true }] }] });
  const done = performance.now();
  const changed = formatDump(await wireguard.get(name), '', systemZones).split('\n');
  const lines = shown.split('\n');
  assert.deepEqual(changed.filter((line, i) => line !== lines[i]).length, 1, 'more than one peer changed');
  return { setMilliseconds: between - before, getMilliseconds: after - between, removeMilliseconds: done - one };
}

/** Compares the device as a link with the output of `ip`. */
async function asLink({ name }: CheckStage): Promise<void> {
  const link = (await network.links.find(name))!;
  assert.equal(link.kind, 'wireguard');
  assert.equal(link.mtu, 1420);
  assert.equal(link.hardwareAddress, undefined);
  await network.links.change(link, { mtu: 1380 });
  await network.addresses.add(link, { address: Uint8Array.of(10, 0, 0, 1), prefixLength: 24 });
  const shown = execFileSync('ip', ['-j', '-d', 'address', 'show', 'dev', name], { encoding: 'utf8' });
  const [there] = JSON.parse(shown) as [{ mtu: number; addr_info: { local: string; prefixlen: number }[] }];
  assert.equal(there.mtu, 1380);
  assert.deepEqual(
    there.addr_info.map(({ local, prefixlen }) => [local, prefixlen]),
    [['10.0.0.1', 24]],
  );
}
