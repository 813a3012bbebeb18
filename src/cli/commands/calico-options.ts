/** The command line of `wgts calico` and `wgts verify`. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { BACKENDS, type BackendName, isBackend } from '../../backend/take.ts';
import { DEFAULT_OPTIONS, optionErrors, type PlanOptions } from '../../calico/plan/options.ts';
import { boolean } from '../../calico/plan/values.ts';
import { type Terminal, UsageError } from '../terminal.ts';

export interface SourceOptions {
  readonly kubeconfig?: string;
  readonly clusterFrom?: string;
}

export interface CalicoOptions extends SourceOptions {
  readonly nodeName: string;
  readonly backend: BackendName;
  readonly plan: PlanOptions;
  readonly keyDirectory: string;
  readonly allocate: boolean;
  readonly takeOver: boolean;
  readonly aks: boolean;
  /** Absent: off. */
  readonly http?: { readonly host: string; readonly port: number };
  readonly once: boolean;
  readonly withdraw: boolean;
}

const DEFAULT_HTTP = '127.0.0.1:9096';

export const CALICO_USAGE = `Usage: wgts calico [<options>]

Keeps this node a member of a Calico cluster's WireGuard, as Felix does where the kernel has it.

  --node NAME           the name of our Node; otherwise $NODENAME, otherwise the host's name
  --kubeconfig FILE     how the API server is reached; otherwise $KUBECONFIG, a pod's service account, or ~/.kube/config
  --cluster-from PATH   instead: Nodes and Calico's objects from a YAML file or a folder of them, followed as they change
  --backend NAME        ${BACKENDS.join(', ')}: who runs the tunnel; userspace, or auto with --take-over
  --take-over           go on where the kernel has WireGuard itself, which is otherwise left to Felix
  --always              on although node.<name> says wireguardEnabled: false, which then is for Felix alone
  --fail-closed         what is not encrypted is unreachable, rather than in the clear
  --allocate            take the tunnel's address from Calico's IPAM, where no calico-node does
  --use-pod-cidr        addresses come from the Nodes' podCIDRs (host-local IPAM); also USE_POD_CIDR=true
  --aks                 leave room for Azure's network, where hosts are encrypted
  --interface NAME      ${DEFAULT_OPTIONS.interfaceNames[4]}; --interface-v6 NAME, ${DEFAULT_OPTIONS.interfaceNames[6]}
  --table NUMBER        of our routes, all of which are ours: ${DEFAULT_OPTIONS.table}
  --mark NUMBER         of our encrypted packets: 0x${DEFAULT_OPTIONS.mark.toString(16)}
  --rule-priority NUM   otherwise Felix's wireguardRoutingRulePriority
  --key-dir FOLDER      where our private keys stay: /var/lib/wireguard-ts
  --http HOST:PORT      /healthz, /readyz and /metrics: ${DEFAULT_HTTP}; or off
  --once                end when all is as it shall be
  --withdraw            take our key and all that was made away, and end`;

export function parseCalicoOptions(args: readonly string[], { env }: Terminal): CalicoOptions {
  const { values } = parsed(args, CALICO_USAGE, {
    node: 'string',
    kubeconfig: 'string',
    'cluster-from': 'string',
    backend: 'string',
    'take-over': 'boolean',
    always: 'boolean',
    'fail-closed': 'boolean',
    allocate: 'boolean',
    'use-pod-cidr': 'boolean',
    aks: 'boolean',
    interface: 'string',
    'interface-v6': 'string',
    table: 'string',
    mark: 'string',
    'rule-priority': 'string',
    'key-dir': 'string',
    http: 'string',
    once: 'boolean',
    withdraw: 'boolean',
  });
  const takeOver = values['take-over'] === true;
  const given = text(values, 'backend');
  const backend = given ?? (env['WGTS_BACKEND'] || (takeOver ? 'auto' : 'userspace'));
  const from = given === undefined ? '$WGTS_BACKEND' : '--backend';
  if (!isBackend(backend)) throw bad(from, backend, `it is one of ${BACKENDS.join(', ')}`);
  if ((backend === 'kernel' || backend === 'auto') && !takeOver)
    throw bad(from, backend, "the kernel's WireGuard is left to Felix; take userspace, or add --take-over");
  const names = DEFAULT_OPTIONS.interfaceNames;
  const rulePriority = number(values, 'rule-priority');
  const http = httpOf(text(values, 'http') ?? DEFAULT_HTTP);
  const plan: PlanOptions = {
    interfaceNames: { 4: text(values, 'interface') ?? names[4], 6: text(values, 'interface-v6') ?? names[6] },
    table: number(values, 'table') ?? DEFAULT_OPTIONS.table,
    mark: number(values, 'mark') ?? DEFAULT_OPTIONS.mark,
    ...(rulePriority !== undefined && { rulePriority }),
    failClosed: values['fail-closed'] === true,
    usePodCidr: values['use-pod-cidr'] === true || flagOf(env, 'USE_POD_CIDR'),
    enableHere: values['always'] ? 'always' : 'as-felix',
  };
  const errors = optionErrors(plan);
  if (errors.length > 0) throw new UsageError(errors.map(({ message }) => message).join('\n'));
  if (plan.usePodCidr && values['allocate'])
    throw new UsageError(
      '--allocate: with podCIDRs (--use-pod-cidr, $USE_POD_CIDR) the address comes from them; leave it out',
    );
  return {
    ...source(values),
    nodeName: nodeNameOf(values, env),
    backend,
    plan,
    keyDirectory: text(values, 'key-dir') ?? '/var/lib/wireguard-ts',
    allocate: values['allocate'] === true && (values['withdraw'] === true || !encryptsHosts(env)),
    takeOver,
    aks: values['aks'] === true,
    ...(http && { http }),
    once: values['once'] === true,
    withdraw: values['withdraw'] === true,
  };
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Also for other commands that read a cluster. @throws UsageError */
export function parsed(
  args: readonly string[],
  usage: string,
  known: Readonly<Record<string, 'string' | 'boolean'>>,
): { values: Values } {
  if (args.includes('--help')) throw new UsageError(usage);
  const options = Object.fromEntries(Object.entries(known).map(([name, type]) => [name, { type }]));
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }) as { values: Values };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage}`);
  }
}

export function source(values: Values): SourceOptions {
  const kubeconfig = text(values, 'kubeconfig');
  const clusterFrom = text(values, 'cluster-from');
  if (kubeconfig !== undefined && clusterFrom !== undefined)
    throw new UsageError('--kubeconfig and --cluster-from are two sources of one cluster: give one of them');
  return { ...(kubeconfig !== undefined && { kubeconfig }), ...(clusterFrom !== undefined && { clusterFrom }) };
}

export function nodeNameOf(values: Values, env: Terminal['env']): string {
  const [from, name] =
    text(values, 'node') !== undefined
      ? ['--node', String(values['node'])]
      : env['NODENAME']
        ? ['$NODENAME', env['NODENAME']]
        : ["this host's name", hostname().toLowerCase()];
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name))
    throw bad(from, name, 'it is no name of a Node: lower-case letters, digits, - and . are; say it with --node NAME');
  return name;
}

/** As Calico reads it. */
/** As calico-node's allocateip asks it: of the environment alone. The device has the node's address then. */
function encryptsHosts(env: Terminal['env']): boolean {
  return Object.entries(env).some(
    ([name, value]) => /^felix_wireguardhostencryptionenabled$/i.test(name) && boolean(value ?? '')?.value === true,
  );
}

function flagOf(env: Terminal['env'], name: string): boolean {
  const text = env[name];
  if (!text) return false;
  const read = boolean(text);
  if (!read) throw bad(`$${name}`, text, `it is ${boolean.expected}`);
  return read.value;
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  if (value === '') throw new UsageError(`--${name} is empty: give it a value, or leave it out`);
  return typeof value === 'string' ? value : undefined;
}

/** Decimal, or hexadecimal with 0x. What it may be, the plan says. */
function number(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  if (!/^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})$/.test(value)) throw bad(`--${name}`, value, 'it is a number');
  return Number(value);
}

function httpOf(value: string): { host: string; port: number } | undefined {
  if (value === 'off') return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:]*)):([0-9]{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (!match || port > 65535) throw bad('--http', value, 'it is HOST:PORT, [ADDRESS]:PORT or off');
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}

function bad(option: string, value: string, fix: string): UsageError {
  return new UsageError(`${option} ${JSON.stringify(value)}: ${fix}`);
}
