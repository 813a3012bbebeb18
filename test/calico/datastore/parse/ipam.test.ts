/**
 * Parses pools, blocks and pods (docs/reference/calico-felix.md#ipam-objects, #prefix-owners), and
 * the problems of invalid ones.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import { parseIpPool } from '../../../../src/calico/datastore/parse/ip-pool.ts';
import { parseIpamBlock } from '../../../../src/calico/datastore/parse/ipam-block.ts';
import { parsePod } from '../../../../src/calico/datastore/parse/pod.ts';

const text = (address: Uint8Array | undefined): string | undefined => address && formatAddress(address);

describe('IPPool', () => {
  const pool = (spec: unknown, metadata: object = {}) => parseIpPool({ metadata: { name: 'p', ...metadata }, spec });

  test('defaults', () => {
    expect(pool({ cidr: '192.168.0.0/16' }).value).toMatchObject({
      blockSize: 26,
      disabled: false,
      terminating: false,
      nodeSelector: 'all()',
      allowedUses: [],
    });
    expect(pool({ cidr: 'fd00::/48', blockSize: 0 }).value!.blockSize).toBe(122);
    // A pool smaller than a default block is one block.
    expect(pool({ cidr: '192.168.0.0/28' }).value!.blockSize).toBe(28);
  });

  test('explicit values', () => {
    const spec = { cidr: '192.168.0.0/16', blockSize: 24, disabled: true, nodeSelector: 'a', allowedUses: ['Tunnel'] };
    expect(pool(spec, { deletionTimestamp: '2026-01-01T00:00:00Z' }).value).toMatchObject({
      blockSize: 24,
      disabled: true,
      terminating: true,
      nodeSelector: 'a',
      allowedUses: ['Tunnel'],
    });
  });

  test.each([19, 33, 26.5, '26', 15])('a block size of %s is a problem, and the default is used', blockSize => {
    const { value, problems } = pool({ cidr: '192.168.0.0/16', blockSize });
    expect(value!.blockSize).toBe(26);
    expect(problems).toMatchObject([{ object: 'IPPool/p', reason: 'InvalidField' }]);
  });

  test.each([undefined, '192.168.0.0', '192.168.0.0/33', 'x/16', 5, '10.0.0.0/8/8'])('no pool of %s', cidr => {
    const { value, problems } = pool({ cidr });
    expect(value).toBeUndefined();
    expect(problems).toHaveLength(1);
  });
});

describe('IPAMBlock', () => {
  const block = (spec: object) =>
    parseIpamBlock({ metadata: { name: 'b' }, spec: { cidr: '192.168.1.64/26', affinity: 'host:node-a', ...spec } });

  test('a tunnel address and a borrowed one (docs/reference/calico-felix.md#ipam-objects)', () => {
    const { value, problems } = block({
      allocations: [0, null, 1],
      attributes: [
        {
          handle_id: 'wireguard-tunnel-addr-node-a',
          secondary: { node: 'node-a', type: 'wireguardTunnelAddress' },
        },
        { handle_id: 'k8s-pod-network.abc', secondary: { node: 'node-b', namespace: 'default', pod: 'p1' } },
      ],
    });
    expect(problems).toEqual([]);
    expect(value!.owner).toBe('node-a');
    expect(value!.allocations.map(({ address, node, type }) => [text(address), node, type])).toEqual([
      ['192.168.1.64', 'node-a', 'wireguardTunnelAddress'],
      ['192.168.1.66', 'node-b', undefined],
    ]);
  });

  test('IPv6 addresses beyond the last byte', () => {
    const allocations = Array.from({ length: 300 }, (_, i) => (i === 299 ? 0 : null));
    const { value } = block({ cidr: 'fd00::ff00/116', allocations, attributes: [{ secondary: { node: 'x' } }] });
    expect(value!.allocations.map(({ address }) => text(address))).toEqual(['fd00::f12b']);
  });

  test('owners', () => {
    expect(block({ affinity: 'virtual:load-balancer' }).value!.owner).toBe('load-balancer');
    expect(block({ affinity: null }).value).not.toHaveProperty('owner');
    const { value, problems } = block({ affinity: 'node-a' });
    expect(value).not.toHaveProperty('owner');
    expect(problems).toMatchObject([{ object: 'IPAMBlock/b', reason: 'InvalidField' }]);
  });

  test('ignores a block that is being deleted', () => {
    expect(block({ deleted: true })).toEqual({ problems: [] });
    expect(block({ deleted: 'true' })).toEqual({ problems: [] });
    expect(block({ deleted: 'false' }).value).toBeDefined();
  });

  test('ignores reserved addresses, which have no node', () => {
    expect(block({ allocations: [0], attributes: [{ handle_id: 'reserved' }] })).toMatchObject({
      value: { allocations: [] },
      problems: [],
    });
  });

  test.each([[1], [-1], ['0'], [0.5], ['length'], [{}]])('an allocation of %j', index => {
    const { value, problems } = block({
      allocations: [index, 0],
      attributes: [{ secondary: { node: 'x' } }],
    });
    expect(value!.allocations.map(({ address }) => text(address))).toEqual(['192.168.1.65']);
    expect(problems).toMatchObject([{ object: 'IPAMBlock/b', reason: 'InvalidAllocation' }]);
  });

  test('allocations beyond the block', () => {
    const attributes = [{ secondary: { node: 'x' } }];
    const { value, problems } = block({ cidr: '10.0.0.0/30', allocations: Array(1000).fill(0), attributes });
    expect(value!.allocations).toHaveLength(4);
    expect(problems).toMatchObject([{ reason: 'InvalidAllocation' }]);
  });

  test('keeps only what others have, and the addresses of tunnels: the block itself covers its own pods', () => {
    const own = { secondary: { node: 'node-a', pod: 'p' } };
    const tunnel = { secondary: { node: 'node-a', type: 'ipipTunnelAddress' } };
    const attributes = [own, tunnel, { secondary: { node: 'node-b' } }];
    const { value } = block({ allocations: [0, 1, 2, 0], attributes });
    expect(value!.allocations.map(({ address }) => text(address))).toEqual(['192.168.1.65', '192.168.1.66']);
  });

  test('is bounded, whatever the object holds', () => {
    const attributes = Array.from({ length: 50_000 }, (_, i) => ({ secondary: { node: `n${i}` } }));
    const allocations = attributes.map((_, i) => i);
    const { value, problems } = block({ cidr: '10.0.0.0/1', allocations, attributes });
    expect(value!.allocations).toHaveLength(4096);
    expect(problems).toMatchObject([{ reason: 'InvalidAllocation', message: /50000 elements/ }]);
    const long = 'x'.repeat(254);
    const named = block({
      affinity: `host:${long}`,
      allocations: [0, 1],
      attributes: [{ secondary: { node: long } }, { secondary: { node: 'b', type: long } }],
    });
    expect(named.value!.owner).toBeUndefined();
    expect(named.value!.allocations.map(({ node, type }) => [node, type])).toEqual([['b', undefined]]);
    expect(named.problems).toHaveLength(3);
  });

  test('no block without a CIDR', () => {
    expect(block({ cidr: '192.168.1.64' })).toMatchObject({ problems: [{ reason: 'InvalidCIDR' }] });
    expect(block({ cidr: undefined })).toMatchObject({ problems: [{ reason: 'InvalidCIDR' }] });
  });
});

describe('Pod', () => {
  const pod = (more: { metadata?: object; spec?: object; status?: object }) =>
    parsePod({
      metadata: { name: 'p', namespace: 'n', ...more.metadata },
      spec: { nodeName: 'a', ...more.spec },
      status: { podIP: '10.0.0.1', ...more.status },
    });

  test('the sources of its addresses', () => {
    const of = (more: Parameters<typeof pod>[0]): unknown => pod(more).value?.addresses.map(text);
    const annotations = {
      'cni.projectcalico.org/podIPs': '10.0.0.3/32,fd00::3/128',
      'cni.projectcalico.org/podIP': '10.0.0.4/32',
      'vpc.amazonaws.com/pod-ips': '10.0.0.5',
    };
    expect(of({ status: { podIPs: [{ ip: '10.0.0.2' }, { ip: 'fd00::2' }] } })).toEqual(['10.0.0.2', 'fd00::2']);
    expect(of({ metadata: { annotations } })).toEqual(['10.0.0.1']);
    const none = { podIP: undefined };
    expect(of({ metadata: { annotations }, status: none })).toEqual(['10.0.0.3', 'fd00::3']);
    const { 'cni.projectcalico.org/podIPs': _, ...one } = annotations;
    expect(of({ metadata: { annotations: one }, status: none })).toEqual(['10.0.0.4']);
    expect(of({ metadata: { annotations: { 'vpc.amazonaws.com/pod-ips': '10.0.0.5' } }, status: none })).toEqual([
      '10.0.0.5',
    ]);
  });

  test('ignored pods', () => {
    expect(pod({}).value).toMatchObject({ namespace: 'n', name: 'p', node: 'a' });
    const gone = { deletionTimestamp: 'x', annotations: { 'cni.projectcalico.org/podIP': '' } };
    for (const more of [
      { spec: { nodeName: undefined } },
      { spec: { hostNetwork: true } },
      { status: { phase: 'Succeeded' } },
      { status: { phase: 'Failed' } },
      { status: { podIP: undefined } },
      { metadata: gone },
    ])
      expect(pod(more)).toEqual({ problems: [] });
    expect(pod({ metadata: { ...gone, annotations: {} } }).value).toBeDefined();
  });

  test.each(['cni.projectcalico.org/podIP', 'cni.projectcalico.org/podIPs', 'vpc.amazonaws.com/pod-ips'])(
    'a terminating pod has no address once %s is empty; other pods keep theirs',
    name => {
      const annotations = { [name]: '' };
      const deletionTimestamp = '2026-01-01T00:00:00Z';
      expect(pod({ metadata: { deletionTimestamp, annotations } })).toEqual({ problems: [] });
      expect(pod({ metadata: { annotations } }).value).toBeDefined();
      expect(pod({ metadata: { deletionTimestamp, annotations: { [name]: '10.0.0.1' } } }).value).toBeDefined();
      // Whatever the other sources hold.
      const others = { 'cni.projectcalico.org/podIP': '10.0.0.1/32', 'vpc.amazonaws.com/pod-ips': '10.0.0.1' };
      expect(pod({ metadata: { deletionTimestamp, annotations: { ...others, ...annotations } } })).toEqual({
        problems: [],
      });
    },
  );

  test('an invalid address invalidates its whole source, and no other source is read; as in Calico', () => {
    const annotations = { 'cni.projectcalico.org/podIP': '10.0.0.9/32' };
    for (const podIPs of [
      [{ ip: '10.0.0.2' }, { ip: 'x' }],
      [{ ip: '10.0.0.2' }, { ip: '010.0.0.3' }],
    ]) {
      const { value, problems } = pod({ metadata: { annotations }, status: { podIPs } });
      expect(value).toBeUndefined();
      expect(problems).toMatchObject([{ object: 'Pod/n/p', reason: 'InvalidAddress' }]);
    }
    for (const list of ['10.0.0.2, 10.0.0.3', '10.0.0.2,', ',10.0.0.2'])
      expect(
        pod({ metadata: { annotations: { 'vpc.amazonaws.com/pod-ips': list } }, status: { podIP: undefined } }),
      ).toMatchObject({ problems: [{ reason: 'InvalidAddress' }] });
  });

  test('of many addresses only the first ones are read', () => {
    const many = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`);
    const status = pod({ status: { podIPs: many.map(ip => ({ ip })) } });
    const annotation = { 'cni.projectcalico.org/podIPs': many.join(',') };
    const annotated = pod({ status: { podIP: undefined }, metadata: { annotations: annotation } });
    for (const { value, problems } of [status, annotated]) {
      expect(value!.addresses).toHaveLength(16);
      expect(problems).toMatchObject([{ reason: 'HugeList' }]);
    }
  });

  test('the problem names an invalid address', () => {
    expect(pod({ status: { podIP: 'here' } })).toMatchObject({
      problems: [{ object: 'Pod/n/p', reason: 'InvalidAddress' }],
    });
  });
});
