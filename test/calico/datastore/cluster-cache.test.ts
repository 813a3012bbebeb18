/**
 * Builds a Cluster from arriving objects: unchanged values keep their identity, and any input is
 * tolerated.
 *
 * @module-tag slow
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClusterCache } from '../../../src/calico/datastore/cluster-cache.ts';
import { KIND, KINDS } from '../../../src/calico/datastore/resource-kinds.ts';
import { check, RUNS } from '../../support/fuzz.ts';

test('unchanged values keep their identity', () => {
  const cache = new ClusterCache(true);
  const node = (resourceVersion: string, more: object = {}): unknown => ({
    metadata: { name: 'a', uid: 'u', resourceVersion },
    ...more,
  });
  cache.set('Node', cache.read('Node', node('1', { spec: { podCIDR: 'bad' } })));
  cache.set('IPPool', cache.read('IPPool', { metadata: { name: 'p' }, spec: { cidr: '10.0.0.0/8' } }));
  const { cluster: first, problems } = cache;
  expect(problems).toHaveLength(1);
  // An object with the same version is not even parsed.
  cache.set('Node', cache.read('Node', node('1', { spec: { podCIDR: '10.0.0.0/24' } })));
  expect(cache.cluster).toBe(first);
  // A heartbeat changes no field that is read.
  cache.set('Node', cache.read('Node', node('2', { spec: { podCIDR: 'bad' }, status: { conditions: [1] } })));
  cache.replace('Node', [cache.read('Node', node('3', { spec: { podCIDR: 'bad' } }))]);
  expect(cache.cluster).toBe(first);
  expect(cache.problems).toBe(problems);
  cache.set('Node', cache.read('Node', node('4', { spec: { podCIDR: '10.0.0.0/24' } })));
  expect(cache.cluster.nodes).not.toBe(first.nodes);
  expect(cache.cluster.ipPools).toBe(first.ipPools);
  expect(cache.problems).toEqual([]);
  cache.delete('Node', 'a');
  expect(cache.cluster.nodes.size).toBe(0);
  cache.replace('IPPool', []);
  expect(cache.cluster.ipPools.size).toBe(0);
});

describe('arbitrary values as objects', () => {
  const junk = fc.jsonValue({ maxDepth: 4 });
  const strange = fc.oneof(
    junk,
    fc.constantFrom<unknown>('10.0.0.0/26', 'fd00::/122', '::', '1.2.3.4', 'host:a', '0', '', 'all()', 'none', '5s'),
    fc.integer(),
  );
  const some = (...names: string[]): fc.Arbitrary<unknown> =>
    fc.oneof(
      { weight: 9, arbitrary: fc.record(Object.fromEntries(names.map(name => [name, strange])), { requiredKeys: [] }) },
      { weight: 1, arbitrary: junk },
    );
  const annotations = some(
    'projectcalico.org/IPv4Address',
    'projectcalico.org/WireguardPublicKey',
    'projectcalico.org/metadata',
    'config.projectcalico.org/WireguardMTU',
    'cni.projectcalico.org/podIPs',
  );
  const attributes = fc.oneof(
    fc.array(fc.record({ handle_id: strange, secondary: fc.oneof(some('node', 'type'), junk) })),
    junk,
  );
  const spec = fc.oneof(
    fc.record(
      {
        cidr: strange,
        affinity: strange,
        allocations: fc.oneof(fc.array(fc.oneof(fc.nat(3), junk)), junk),
        attributes,
        deleted: strange,
        blockSize: strange,
        allowedUses: strange,
        podCIDRs: fc.oneof(fc.array(strange), junk),
        nodeName: strange,
        hostNetwork: strange,
        wireguardKeepAlive: strange,
        routeTableRanges: fc.oneof(fc.array(some('min', 'max', 'port', 'protocol', 'net')), junk),
      },
      { requiredKeys: [] },
    ),
    junk,
  );
  const addresses = fc.oneof(
    fc.array(fc.record({ type: fc.constantFrom('InternalIP', 'ExternalIP', 'x'), address: strange })),
    junk,
  );
  const object = fc.record(
    {
      metadata: fc.record(
        { name: fc.oneof(fc.string(), junk), namespace: strange, uid: strange, labels: junk, annotations },
        { requiredKeys: ['name'] },
      ),
      spec,
      status: fc.oneof(fc.record({ addresses, podIPs: fc.oneof(fc.array(some('ip')), junk), podIP: strange }), junk),
    },
    { requiredKeys: [] },
  );
  test.each(KINDS)('%s', kind => {
    let values = 0;
    let objections = 0;
    check(
      fc.oneof({ weight: 9, arbitrary: object }, { weight: 1, arbitrary: junk }),
      value => {
        const parsed = KIND[kind].parse(value);
        if (parsed.value !== undefined) values++;
        objections += parsed.problems.length;
        for (const { object: name, reason, message } of parsed.problems) {
          if (!name.startsWith(`${kind}/`) || name.length > 400) throw new Error(`a problem of ${name}`);
          if (!/^[A-Z][A-Za-z]+$/.test(reason) || message.length > 500) throw new Error(`${reason}: ${message}`);
        }
        const cache = new ClusterCache(false);
        cache.replace(kind, [cache.read(kind, value)]);
        void [cache.cluster, cache.problems];
      },
      Math.ceil(RUNS / 20),
    );
    // The fuzzer must produce both accepted and rejected objects, or it tests nothing.
    expect(values).toBeGreaterThan(0);
    expect(objections).toBeGreaterThan(0);
  });
});
