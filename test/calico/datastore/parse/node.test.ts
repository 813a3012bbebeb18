/**
 * Parses Nodes and FelixConfigurations (docs/reference/calico-felix.md#precedence,
 * #node-annotations, #nodes-read), and the problems of invalid ones.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import { formatPrefix } from '../../../../src/base/prefix.ts';
import { parseFelixConfiguration } from '../../../../src/calico/datastore/parse/felix-configuration.ts';
import { parseNode } from '../../../../src/calico/datastore/parse/node.ts';

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
          'projectcalico.org/other': 'kept',
          'example.com/other': 'not kept',
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
    expect(value!.annotations).toMatchObject({ 'projectcalico.org/other': 'kept' });
    expect(value!.annotations).not.toHaveProperty('example.com/other');
  });

  test('keeps a node address without a prefix length as such; accepts host bits and IPv4 in IPv6 notation', () => {
    const of = (v4: string) => parseNode(node({ 'projectcalico.org/IPv4Address': v4 })).value!;
    expect(of('10.0.0.5/24')).toMatchObject({ bgpAddress: { 4: Uint8Array.of(10, 0, 0, 5) }, bgpLength: { 4: 24 } });
    expect(of('10.0.0.5')).toMatchObject({ bgpAddress: { 4: Uint8Array.of(10, 0, 0, 5) }, bgpLength: {} });
    expect(of('10.0.0.5').bgpLength).toEqual({});
    expect(of('10.0.0.5/024').bgpLength).toEqual({ 4: 24 });
    expect(of('::ffff:10.0.0.5/120')).toMatchObject({
      bgpAddress: { 4: Uint8Array.of(10, 0, 0, 5) },
      bgpLength: { 4: 24 },
    });
  });

  test.each([
    'projectcalico.org/IPv4WireguardInterfaceAddr',
    'projectcalico.org/IPv6WireguardInterfaceAddr',
    'projectcalico.org/IPv4IPIPTunnelAddr',
    'projectcalico.org/IPv4VXLANTunnelAddr',
    'projectcalico.org/IPv6VXLANTunnelAddr',
  ])('%s with a prefix length is invalid', name => {
    const six = name.includes('IPv6');
    const { value, problems } = parseNode(node({ [name]: six ? 'fd00::1/128' : '10.0.0.1/32' }));
    expect(value).toMatchObject({ wireguardAddress: {}, ipipAddress: {}, vxlanAddress: {} });
    expect(problems).toMatchObject([{ object: 'Node/a', reason: 'InvalidAddress' }]);
    expect(problems[0]!.message).toMatch(/prefix length and must have none/);
    expect(parseNode(node({ [name]: six ? 'fd00::1' : '::ffff:10.0.0.1' })).problems).toEqual([]);
    for (const bad of six ? ['fe80::1%eth0', '::ffff:10.0.0.1', ' fd00::1'] : ['010.0.0.1', '10.0.0.1 ', 'fd00::1'])
      expect(parseNode(node({ [name]: bad })).problems).toHaveLength(1);
  });

  describe("reads labels of calicoctl; Kubernetes' own take precedence", () => {
    const labels = (text: unknown) => parseNode(node({ 'projectcalico.org/labels': text }));

    test('beside each other', () => {
      const { value, problems } = labels('{"rack":"r1","zone":"other","empty":null,"__proto__":"p"}');
      expect(problems).toEqual([]);
      expect(Object.entries(value!.labels).sort()).toEqual([
        ['__proto__', 'p'],
        ['empty', ''],
        ['rack', 'r1'],
        ['zone', 'x'],
      ]);
      expect(Object.getPrototypeOf(value!.labels)).toBe(Object.prototype);
    });

    test('more characters than other annotations may have', () => {
      const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`label-${i}`, 'value']));
      const { value, problems } = labels(JSON.stringify(many));
      expect(problems).toEqual([]);
      expect(Object.keys(value!.labels)).toHaveLength(2001);
    });

    test.each(['null', '', '{}'])('%j holds no labels', text => {
      expect(labels(text)).toMatchObject({ value: { labels: { zone: 'x' } }, problems: [] });
      expect(Object.keys(labels(text).value!.labels)).toEqual(['zone']);
    });

    test.each([
      ['an incomplete object', '{'],
      ['a list', '[]'],
      ['a number', '5'],
      ['a text', '"a"'],
      ['one label a number', '{"rack":"r1","n":5}'],
      ['one label an object', '{"rack":"r1","n":{}}'],
      ['one label a list', '{"rack":"r1","n":[]}'],
      ['one label a flag', '{"rack":"r1","n":true}'],
      ['not text', 5],
      ['an object instead of text', {}],
      ['endless', 'x'.repeat(300_000)],
    ])('what is not wholly labels is a problem, and none of them: %s', (_, text) => {
      const { value, problems } = labels(text);
      expect(value!.labels).toEqual({ zone: 'x' });
      expect(problems).toMatchObject([{ object: 'Node/a', reason: 'InvalidLabels' }]);
      expect(problems[0]!.message.length).toBeLessThan(300);
    });
  });

  test('derives the tunnel of a podCIDR from its written address, counting in the last byte only', () => {
    const of = (spec: object) => parseNode(node({}, { spec })).value!.podCidrAddress;
    expect(of({ podCIDR: '10.1.0.5/24', podCIDRs: ['10.1.0.5/24'] })).toEqual(Uint8Array.of(10, 1, 0, 5));
    expect(of({ podCIDR: '10.1.0.0' })).toBeUndefined();
    expect(of({})).toBeUndefined();
  });

  test('only podCIDR', () => {
    expect(parseNode(node({}, { spec: { podCIDR: '10.1.0.0/24' } })).value!.podCidrs.map(formatPrefix)).toEqual([
      '10.1.0.0/24',
    ]);
  });

  test.each([
    ['an invalid address', { 'projectcalico.org/IPv4Address': '10.0.0.256/24' }, 'InvalidAddress'],
    ['an invalid length', { 'projectcalico.org/IPv4Address': '10.0.0.5/33' }, 'InvalidAddress'],
    ['the other family', { 'projectcalico.org/IPv4Address': 'fd00::1' }, 'InvalidAddress'],
    ['a number', { 'projectcalico.org/WireguardPublicKey': 5 }, 'InvalidAnnotation'],
    ['huge', { 'projectcalico.org/WireguardPublicKey': 'A'.repeat(300_000) }, 'HugeAnnotation'],
    ['not an object', 'text', 'InvalidField'],
  ])('an annotation that is %s is a problem of its Node, which counts without it', (_, annotations, reason) => {
    const { value, problems } = parseNode(node(annotations));
    expect(value).toMatchObject({ name: 'a', bgpAddress: {}, publicKey: {} });
    expect(problems.map(problem => [problem.object, problem.reason])).toEqual([['Node/a', reason]]);
    expect(problems[0]!.message.length).toBeLessThan(300);
  });

  test('of many addresses and podCIDRs only the first ones are read', () => {
    const addresses = Array.from({ length: 300 }, (_, i) => ({
      type: 'InternalIP',
      address: `10.0.${i >> 8}.${i & 255}`,
    }));
    const podCIDRs = Array.from({ length: 100 }, (_, i) => `10.${i}.0.0/24`);
    const { value, problems } = parseNode(node({}, { status: { addresses }, spec: { podCIDRs } }));
    expect([value!.addresses.length, value!.podCidrs.length]).toEqual([256, 16]);
    expect(problems.map(({ reason }) => reason)).toEqual(['HugeList', 'HugeList']);
  });

  test("a node of the control plane has Kubernetes' own label, not calicoctl's", () => {
    const of = (labels: object, annotations: object = {}) =>
      parseNode({ metadata: { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z', labels, annotations } }).value!;
    for (const role of ['control-plane', 'master', 'controlplane'])
      expect(of({ [`node-role.kubernetes.io/${role}`]: '' }).isControlPlane).toBe(true);
    const own = { 'projectcalico.org/labels': '{"node-role.kubernetes.io/control-plane":""}' };
    expect(of({ zone: 'x' }, own)).not.toHaveProperty('isControlPlane');
    expect(of({}).creationTimestamp).toBe('2026-01-01T00:00:00Z');
  });

  test('accepts any foreign annotations, and drops huge ones', () => {
    const { value, problems } = parseNode(node({ other: 5, long: 'A'.repeat(300_000) }));
    expect(problems).toEqual([]);
    expect(value!.annotations).toEqual({});
  });

  test('a strange name, and endless problems', () => {
    expect(parseNode({ metadata: {} })).toMatchObject({ problems: [{ object: 'Node/?', reason: 'InvalidObject' }] });
    const addresses = Array.from({ length: 1000 }, () => ({ type: 'InternalIP', address: 'x' }));
    expect(parseNode(node({}, { status: { addresses } })).problems).toHaveLength(20);
  });
});

describe('FelixConfiguration', () => {
  const parameters = (spec: unknown, metadata: object = {}): Record<string, string> =>
    Object.fromEntries(parseFelixConfiguration({ metadata: { name: 'default', ...metadata }, spec }).value!.parameters);

  test('maps fields to the parameter names of the environment', () => {
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

  test('does not validate values', () => {
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

  test('a selector is used only if the name is neither default nor node.*, and is not a parameter', () => {
    const of = (name: string) =>
      parseFelixConfiguration({ metadata: { name }, spec: { nodeSelector: 'a == "b"' } }).value;
    expect(of('default')).toEqual({ name: 'default', parameters: new Map() });
    expect(of('node.a')).toEqual({ name: 'node.a', parameters: new Map() });
    expect(of('gpu')).toEqual({ name: 'gpu', nodeSelector: 'a == "b"', parameters: new Map() });
  });

  test('uses the creation time that Calico kept', () => {
    const creationTimestamp = '2026-02-02T00:00:00Z';
    const kept = { 'projectcalico.org/metadata': '{"creationTimestamp":"2020-01-01T00:00:00Z"}' };
    const of = (annotations: object) =>
      parseFelixConfiguration({ metadata: { name: 'x', creationTimestamp, annotations } });
    expect(of({}).value!.creationTimestamp).toBe(creationTimestamp);
    expect(of(kept).value!.creationTimestamp).toBe('2020-01-01T00:00:00Z');
    const broken = of({ 'projectcalico.org/metadata': '{' });
    expect(broken.value!.creationTimestamp).toBe(creationTimestamp);
  });

  test('an invalid spec', () => {
    const { value, problems } = parseFelixConfiguration({ metadata: { name: 'default' }, spec: 'on' });
    expect(value!.parameters.size).toBe(0);
    expect(problems).toMatchObject([{ object: 'FelixConfiguration/default', reason: 'InvalidField' }]);
  });
});
