/**
 * The command line of `wgts calico`: every option and variable, and the errors for values that it
 * rejects.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../src/calico/plan/config/options.ts';
import { type CalicoOptions, parseCalicoOptions } from '../../src/cli/commands/calico-options.ts';
import { calico } from '../../src/cli/help/texts/calico.ts';
import { type Terminal, UsageError } from '../../src/cli/terminal.ts';
import { REPOSITORY } from '../support/guide.ts';

function parse(args: readonly string[], env: Terminal['env'] = { NODENAME: 'n1' }): CalicoOptions {
  return parseCalicoOptions(args, { env } as Terminal);
}

function refusal(args: readonly string[], env?: Terminal['env']): string {
  try {
    parse(args, env);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('it was taken');
}

test('has these defaults without options', () => {
  expect(parse([])).toEqual({
    nodeName: 'n1',
    backend: 'userspace',
    plan: DEFAULT_OPTIONS,
    keyDirectory: '/var/lib/wireguard-ts',
    allocate: false,
    takeOver: false,
    aks: false,
    http: { host: '127.0.0.1', port: 9096 },
    once: false,
    withdraw: false,
    startupProbe: false,
  });
});

test.each<[string[], Record<string, unknown>]>([
  [['--node', 'a.b-1'], { nodeName: 'a.b-1' }],
  [['--kubeconfig', 'k'], { kubeconfig: 'k' }],
  [['--cluster-from', 'c'], { clusterFrom: 'c' }],
  [['--backend', 'pure'], { backend: 'pure' }],
  [['--backend', 'native'], { backend: 'native' }],
  [['--take-over'], { takeOver: true, backend: 'auto' }],
  [['--take-over', '--backend=kernel'], { backend: 'kernel' }],
  [['--take-over', '--backend=userspace'], { backend: 'userspace' }],
  [['--always'], { plan: { ...DEFAULT_OPTIONS, enableHere: 'always' } }],
  [['--fail-closed'], { plan: { ...DEFAULT_OPTIONS, failClosed: true } }],
  [['--use-pod-cidr'], { plan: { ...DEFAULT_OPTIONS, usePodCidr: true } }],
  [['--allocate'], { allocate: true }],
  [['--aks'], { aks: true }],
  [['--interface', 'x.cali'], { plan: { ...DEFAULT_OPTIONS, interfaceNames: { 4: 'x.cali', 6: 'tunl-wg6.cali' } } }],
  [['--interface-v6=y'], { plan: { ...DEFAULT_OPTIONS, interfaceNames: { 4: 'tunl-wg.cali', 6: 'y' } } }],
  // Where the sysctl node.<name> makes Felix use another name.
  [['--interface=wireguard.cali'], { plan: { interfaceNames: { 4: 'wireguard.cali' } } }],
  [['--table', '0x100'], { plan: { table: 256 } }],
  [['--mark', '0x2000'], { plan: { mark: 0x2000 } }],
  [['--rule-priority', '98'], { plan: { rulePriority: 98 } }],
  [['--key-dir', '/k'], { keyDirectory: '/k' }],
  [['--http', '[::1]:80'], { http: { host: '::1', port: 80 } }],
  [['--http', ':80'], { http: { host: '0.0.0.0', port: 80 } }],
  [['--http', 'h:0'], { http: { host: 'h', port: 0 } }],
  [['--once'], { once: true }],
  [['--withdraw'], { withdraw: true }],
  [['--startup-probe'], { startupProbe: true }],
])('parses %j', (args, expected) => {
  expect(parse(args)).toMatchObject(expected);
});

/** Returns the arguments that each kustomization adds to the agent's, by folder. */
function addedArguments(): ReadonlyMap<string, readonly string[]> {
  const deploy = join(REPOSITORY, 'deploy');
  const files = readdirSync(deploy, { recursive: true, encoding: 'utf8' }).filter(name =>
    /kustomization\.yaml$/.test(name),
  );
  return new Map(
    files.map(name => {
      const text = readFileSync(join(deploy, name), 'utf8');
      return [
        name.replace('/kustomization.yaml', ''),
        [...text.matchAll(/args\/-, value: (\S+)/g)].map(([, arg]) => arg!),
      ];
    }),
  );
}

test('the manifests pass only options that exist, and only the AKS manifest passes --aks', () => {
  const added = addedArguments();
  expect([...added.values()].flat()).toEqual(expect.arrayContaining(['--always', '--fail-closed', '--allocate']));
  for (const args of added.values()) parse(args);
  // Felix detects AKS by itself, but the agent needs the option.
  for (const [folder, args] of added) expect([folder, parse(args).aks]).toEqual([folder, folder === 'aks-azure-cni']);
});

test.each([
  [{ FELIX_WIREGUARDHOSTENCRYPTIONENABLED: 'true' }, false],
  [{ felix_WireguardHostEncryptionEnabled: 'Yes' }, false],
  [{ FELIX_WIREGUARDHOSTENCRYPTIONENABLED: 'false' }, true],
  [{ FELIX_WIREGUARDHOSTENCRYPTIONENABLED: '' }, true],
])('--allocate allocates no address where calico-node would not: %j', (env, allocate) => {
  expect(parse(['--allocate'], { NODENAME: 'n1', ...env }).allocate).toBe(allocate);
  // Addresses allocated earlier are released in any case.
  expect(parse(['--allocate', '--withdraw'], { NODENAME: 'n1', ...env }).allocate).toBe(true);
});

test('--http off turns the server off', () => {
  expect(parse(['--http', 'off'])).not.toHaveProperty('http');
});

test('the help lists every option', () => {
  expect(calico.options?.map(({ name }) => name)).toEqual(expect.arrayContaining(['--node', '--take-over', '--http']));
  expect(calico.options).toHaveLength(20);
});

describe('environment variables', () => {
  test.each<[Terminal['env'], Record<string, unknown>]>([
    [{ NODENAME: 'x' }, { nodeName: 'x' }],
    [{}, { nodeName: hostname().toLowerCase() }],
    [{ NODENAME: '' }, { nodeName: hostname().toLowerCase() }],
    [{ WGTS_BACKEND: 'pure' }, { backend: 'pure' }],
    [{ WGTS_BACKEND: '' }, { backend: 'userspace' }],
    ...['true', 'TRUE', '1', 't'].map((text): [Terminal['env'], Record<string, unknown>] => [
      { USE_POD_CIDR: text },
      { plan: { usePodCidr: true } },
    ]),
    ...['false', '0', ''].map((text): [Terminal['env'], Record<string, unknown>] => [
      { USE_POD_CIDR: text },
      { plan: { usePodCidr: false } },
    ]),
  ])('parses %j', (env, expected) => {
    expect(parse([], env)).toMatchObject(expected);
  });

  test('options take precedence over environment variables', () => {
    expect(parse(['--node=a', '--backend=native'], { NODENAME: 'b', WGTS_BACKEND: 'pure' })).toMatchObject({
      nodeName: 'a',
      backend: 'native',
    });
  });
});

test.each<[string[], RegExp]>([
  [['--bogus'], /^unknown option `--bogus'$/],
  [['wg0'], /^unexpected argument `wg0': this command takes no arguments$/],
  [['--node'], /^option --node needs a value: --node NAME$/],
  [['--node='], /^option --node has an empty value: give it a NAME, or leave it out$/],
  [['--node', 'A/b'], /--node `A\/b': not the name of a Node/],
  [['--node', 'a', '--node', 'b'], /^option --node is given twice, as `a' and as `b'; give it once$/],
  [['--backend', 'wg'], /option --backend cannot be `wg'/],
  [['--backend', 'kernel'], /--backend `kernel': .*use userspace, or add --take-over/],
  [['--backend', 'auto'], /--backend `auto': .*--take-over/],
  [['--kubeconfig', 'a', '--cluster-from', 'b'], /--kubeconfig and --cluster-from .*give one of them/],
  [['--interface', 'a b'], /"a b" for IPv4 is not an interface name/],
  [['--interface', '0123456789abcdef'], /not an interface name: choose 1 to 15/],
  [['--interface-v6', 'a/b'], /"a\/b" for IPv6 is not an interface name/],
  [['--interface', 'x', '--interface-v6', 'x'], /both families have interface "x"; give two names/],
  [['--table', 'main'], /--table `main': it must be a number/],
  [['--table', '254'], /route table 254 cannot be used: choose one from 1 to/],
  [['--table', '0'], /route table 0 cannot/],
  [['--table', '99999999999'], /--table `99999999999': it must be a number/],
  [['--table', '9999999999'], /route table 9999999999 cannot/],
  [['--mark', '-1'], /--mark/],
  [['--mark', '0'], /mark 0 cannot be used: choose one from 1 to 0xffffffff/],
  [['--rule-priority', '0'], /rule priority 0 cannot be used: choose one from 1 to 32765/],
  [['--rule-priority', '40000'], /rule priority 40000/],
  [['--http', '9096'], /--http `9096': write HOST:PORT, \[ADDRESS\]:PORT or off/],
  [['--http', 'h:70000'], /--http `h:70000'/],
  [['--http', '::1:80'], /--http `::1:80'/],
  [['--allocate', '--use-pod-cidr'], /--allocate cannot be combined with podCIDRs .*leave it out/],
])('rejects %j and names the value and the fix', (args, says) => {
  expect(refusal(args)).toMatch(says);
});

test.each<[Terminal['env'], RegExp]>([
  [{ NODENAME: 'Node 1' }, /\$NODENAME `Node 1': .*name it with --node NAME/],
  [{ WGTS_BACKEND: 'wg' }, /\$WGTS_BACKEND cannot be `wg'/],
  [{ WGTS_BACKEND: 'kernel' }, /\$WGTS_BACKEND `kernel': .*--take-over/],
  [{ USE_POD_CIDR: 'maybe' }, /\$USE_POD_CIDR `maybe': it must be true or false/],
])('rejects the variables %j', (env, says) => {
  expect(refusal([], env)).toMatch(says);
});
