/** Objects of a cluster as the model has them (calico-wireguard 1.3, 2.1 to 2.4, 3.1), and what is said of those that are wrong. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../src/base/address.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import { ClusterCache } from '../../../src/calico/datastore/cluster-cache.ts';
import { KIND, KINDS } from '../../../src/calico/datastore/kinds.ts';
import { parseFelixConfiguration } from '../../../src/calico/datastore/parse/felix-configuration.ts';
import { parseIpPool } from '../../../src/calico/datastore/parse/ip-pool.ts';
import { parseIpamBlock } from '../../../src/calico/datastore/parse/ipam-block.ts';
import { parseNode } from '../../../src/calico/datastore/parse/node.ts';
import { parsePod } from '../../../src/calico/datastore/parse/pod.ts';
import { check, RUNS } from '../../support/fuzz.ts';

const text = (address: Uint8Array | undefined): string | undefined => address && formatAddress(address);

describe('Node', () => {
  const node = (annotations: unknown, more: object = {}): unknown => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a', uid: 'u', labels: { zone: 'x' }, annotations },
    ...more,
  });

  test('annotations, addresses, podCIDRs', () => {
    const { value, problems } = parseNode(
      node(
        {
          'projectcalico.org/IPv4Address': '10.0.0.5/24',
          'projectcalico.org/IPv6Address': 'fd00::5/64',
          'projectcalico.org/WireguardPublicKey': 'not a key',
          'projectcalico.org/WireguardPublicKeyV6': '',
          'projectcalico.org/IPv4WireguardInterfaceAddr': '192.168.1.3',
          'projectcalico.org/IPv4IPIPTunnelAddr': '192.168.1.1',
          'projectcalico.org/IPv4VXLANTunnelAddr': '192.168.1.2',
          'projectcalico.org/IPv6VXLANTunnelAddr': 'fd00:1::2',
          other: 'kept',
        },
        {
          spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00:2::/64'] },
          status: {
            addresses: [
              { type: 'Hostname', address: 'a' },
              { type: 'InternalIP', address: '10.0.0.5' },
              { type: 'ExternalIP', address: '::ffff:1.2.3.4' },
            ],
          },
        },
      ),
    );
    expect(problems).toEqual([]);
    expect(value!.uid).toBe('u');
    expect(value!.labels).toEqual({ zone: 'x' });
    expect([text(value!.bgpAddress[4]), text(value!.bgpAddress[6])]).toEqual(['10.0.0.5', 'fd00::5']);
    expect(value!.publicKey).toEqual({ 4: 'not a key' });
    expect(text(value!.wireguardAddress[4])).toBe('192.168.1.3');
    expect(text(value!.ipipAddress[4])).toBe('192.168.1.1');
    expect([text(value!.vxlanAddress[4]), text(value!.vxlanAddress[6])]).toEqual(['192.168.1.2', 'fd00:1::2']);
    expect(value!.addresses.map(({ type, address }) => `${type} ${text(address)}`)).toEqual([
      'InternalIP 10.0.0.5',
      'ExternalIP 1.2.3.4',
    ]);
    expect(value!.podCidrs.map(formatPrefix)).toEqual(['10.1.0.0/24', 'fd00:2::/64']);
    expect(value!.annotations['other']).toBe('kept');
  });

  test('podCIDR alone', () => {
    expect(parseNode(node({}, { spec: { podCIDR: '10.1.0.0/24' } })).value!.podCidrs.map(formatPrefix)).toEqual([
      '10.1.0.0/24',
    ]);
  });

  test.each([
    ['no address', { 'projectcalico.org/IPv4Address': '10.0.0.256/24' }, 'InvalidAddress'],
    ['no length', { 'projectcalico.org/IPv4Address': '10.0.0.5/33' }, 'InvalidAddress'],
    ['the other family', { 'projectcalico.org/IPv4Address': 'fd00::1' }, 'InvalidAddress'],
    ['a number', { 'projectcalico.org/WireguardPublicKey': 5 }, 'InvalidAnnotation'],
    ['huge', { 'projectcalico.org/WireguardPublicKey': 'A'.repeat(300_000) }, 'HugeAnnotation'],
    ['no object', 'text', 'InvalidField'],
  ])('an annotation that is %s is a problem of its Node, which counts without it', (_, annotations, reason) => {
    const { value, problems } = parseNode(node(annotations));
    expect(value).toMatchObject({ name: 'a', bgpAddress: {}, publicKey: {} });
    expect(problems.map(problem => [problem.object, problem.reason])).toEqual([['Node/a', reason]]);
    expect(problems[0]!.message.length).toBeLessThan(300);
  });

  test('annotations of others may be as they like, and huge ones are not kept', () => {
    const { value, problems } = parseNode(node({ other: 5, long: 'A'.repeat(300_000) }));
    expect(problems).toEqual([]);
    expect(value!.annotations).toEqual({});
  });

  test('a name that nobody has, and problems without end', () => {
    expect(parseNode({ metadata: {} })).toMatchObject({ problems: [{ object: 'Node/?', reason: 'InvalidObject' }] });
    const addresses = Array.from({ length: 1000 }, () => ({ type: 'InternalIP', address: 'x' }));
    expect(parseNode(node({}, { status: { addresses } })).problems).toHaveLength(20);
  });
});

describe('FelixConfiguration', () => {
  const parameters = (spec: unknown, metadata: object = {}): Record<string, string> =>
    Object.fromEntries(parseFelixConfiguration({ metadata: { name: 'default', ...metadata }, spec }).value!.parameters);

  test('fields by the names of parameters, as the environment would have them', () => {
    expect(
      parameters({
        wireguardEnabled: true,
        wireguardEnabledV6: false,
        wireguardListeningPort: 51820,
        wireguardKeepAlive: '1m30s',
        routeRefreshInterval: '500ms',
        netlinkTimeout: '10s',
        iptablesMarkMask: 0xffff0000,
        routeTableRange: { min: 1, max: 250 },
        routeTableRanges: [
          { min: 10, max: 20 },
          { min: 30, max: 40 },
        ],
        failsafeInboundHostPorts: [
          { protocol: 'UDP', port: 68 },
          { protocol: 'TCP', port: 22, net: '10.0.0.0/8' },
        ],
        failsafeOutboundHostPorts: [],
        externalNodesList: ['1.2.3.4'],
        routeSource: 'WorkloadIPs',
        logPrefix: '',
        wireguardMTU: null,
        bpfConntrackTimeouts: { tcpEstablished: '1h' },
      }),
    ).toEqual({
      wireguardenabled: 'true',
      wireguardenabledv6: 'false',
      wireguardlisteningport: '51820',
      wireguardpersistentkeepalive: '90',
      routerefreshinterval: '0.5',
      netlinktimeoutsecs: '10',
      iptablesmarkmask: '4294901760',
      routetablerange: '1-250',
      routetableranges: '10-20,30-40',
      failsafeinboundhostports: 'udp:68,tcp:10.0.0.0/8:22',
      failsafeoutboundhostports: 'none',
      externalnodescidrlist: '1.2.3.4',
      routesource: 'WorkloadIPs',
    });
  });

  test('values are not judged', () => {
    expect(parameters({ wireguardEnabled: 'perhaps', wireguardKeepAlive: '25 parsecs', wireguardMTU: -1 })).toEqual({
      wireguardenabled: 'perhaps',
      wireguardpersistentkeepalive: '25 parsecs',
      wireguardmtu: '-1',
    });
  });

  test('annotations override fields of the same object', () => {
    const annotations = {
      'config.projectcalico.org/WireguardPersistentKeepalive': '7',
      'config.projectcalico.org/wireguardmtu': 'none',
      'config.projectcalico.org/WireguardEnabled': '',
    };
    expect(parameters({ wireguardKeepAlive: '25s', wireguardEnabled: true }, { annotations })).toEqual({
      wireguardenabled: 'true',
      wireguardpersistentkeepalive: '7',
      wireguardmtu: 'none',
    });
  });

  test('a selector counts only where the name is neither default nor a node, and is no parameter', () => {
    const of = (name: string) =>
      parseFelixConfiguration({ metadata: { name }, spec: { nodeSelector: 'a == "b"' } }).value;
    expect(of('default')).toEqual({ name: 'default', parameters: new Map() });
    expect(of('node.a')).toEqual({ name: 'node.a', parameters: new Map() });
    expect(of('gpu')).toEqual({ name: 'gpu', nodeSelector: 'a == "b"', parameters: new Map() });
  });

  test('the time of creation is the one that Calico kept', () => {
    const creationTimestamp = '2026-02-02T00:00:00Z';
    const kept = { 'projectcalico.org/metadata': '{"creationTimestamp":"2020-01-01T00:00:00Z"}' };
    const of = (annotations: object) =>
      parseFelixConfiguration({ metadata: { name: 'x', creationTimestamp, annotations } });
    expect(of({}).value!.creationTimestamp).toBe(creationTimestamp);
    expect(of(kept).value!.creationTimestamp).toBe('2020-01-01T00:00:00Z');
    const broken = of({ 'projectcalico.org/metadata': '{' });
    expect(broken.value!.creationTimestamp).toBe(creationTimestamp);
  });

  test('a spec that is none', () => {
    const { value, problems } = parseFelixConfiguration({ metadata: { name: 'default' }, spec: 'on' });
    expect(value!.parameters.size).toBe(0);
    expect(problems).toMatchObject([{ object: 'FelixConfiguration/default', reason: 'InvalidField' }]);
  });
});

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
    // a pool of less than a usual block is a block
    expect(pool({ cidr: '192.168.0.0/28' }).value!.blockSize).toBe(28);
  });

  test('what it says', () => {
    const spec = { cidr: '192.168.0.0/16', blockSize: 24, disabled: true, nodeSelector: 'a', allowedUses: ['Tunnel'] };
    expect(pool(spec, { deletionTimestamp: '2026-01-01T00:00:00Z' }).value).toMatchObject({
      blockSize: 24,
      disabled: true,
      terminating: true,
      nodeSelector: 'a',
      allowedUses: ['Tunnel'],
    });
  });

  test.each([19, 33, 26.5, '26', 15])('a block size of %s is a problem, and the usual one counts', blockSize => {
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

  test('the example of calico-wireguard 2.4', () => {
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
    expect(value!.allocations.map(({ address, ...rest }) => ({ address: text(address), ...rest }))).toEqual([
      {
        address: '192.168.1.64',
        node: 'node-a',
        handleId: 'wireguard-tunnel-addr-node-a',
        type: 'wireguardTunnelAddress',
      },
      { address: '192.168.1.66', node: 'node-b', handleId: 'k8s-pod-network.abc' },
    ]);
  });

  test('addresses of IPv6, beyond a byte', () => {
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

  test('a block that is being deleted is none', () => {
    expect(block({ deleted: true })).toEqual({ problems: [] });
    expect(block({ deleted: 'true' })).toEqual({ problems: [] });
    expect(block({ deleted: 'false' }).value).toBeDefined();
  });

  test('reserved addresses, which are with no node, are nobody’s', () => {
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

  test('where its addresses are looked for', () => {
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

  test('which do not count', () => {
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

  test('a bad address is named', () => {
    expect(pod({ status: { podIP: 'here' } })).toMatchObject({
      problems: [{ object: 'Pod/n/p', reason: 'InvalidAddress' }],
    });
  });
});

test('what did not change is the same value', () => {
  const cache = new ClusterCache(true);
  const node = (resourceVersion: string, more: object = {}): unknown => ({
    metadata: { name: 'a', uid: 'u', resourceVersion },
    ...more,
  });
  cache.set('Node', node('1', { spec: { podCIDR: 'bad' } }));
  cache.set('IPPool', { metadata: { name: 'p' }, spec: { cidr: '10.0.0.0/8' } });
  const { cluster: first, problems } = cache;
  expect(problems).toHaveLength(1);
  // the same version is not even looked at
  cache.set('Node', node('1', { spec: { podCIDR: '10.0.0.0/24' } }));
  expect(cache.cluster).toBe(first);
  // a heartbeat changes nothing that is read
  cache.set('Node', node('2', { spec: { podCIDR: 'bad' }, status: { conditions: [1] } }));
  cache.replace('Node', [node('3', { spec: { podCIDR: 'bad' } })]);
  expect(cache.cluster).toBe(first);
  expect(cache.problems).toBe(problems);
  cache.set('Node', node('4', { spec: { podCIDR: '10.0.0.0/24' } }));
  expect(cache.cluster.nodes).not.toBe(first.nodes);
  expect(cache.cluster.ipPools).toBe(first.ipPools);
  expect(cache.problems).toEqual([]);
  cache.delete('Node', node('4'));
  expect(cache.cluster.nodes.size).toBe(0);
  cache.replace('IPPool', []);
  expect(cache.cluster.ipPools.size).toBe(0);
});

describe('anything at all as an object', { timeout: 600_000 }, () => {
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
        cache.replace(kind, [value]);
        void [cache.cluster, cache.problems];
      },
      Math.ceil(RUNS / 20),
    );
    // a fuzz that finds nothing to accept, or nothing to object to, tries nothing
    expect(values).toBeGreaterThan(0);
    expect(objections).toBeGreaterThan(0);
  });
});
