/** The options of `wgts calico` and `wgts verify`. */
import { hostname } from 'node:os';
import { BACKENDS, type BackendChoice } from '../../backend/names.ts';
import { DEFAULT_OPTIONS, optionErrors, type PlanOptions } from '../../calico/plan/config/options.ts';
import { boolean } from '../../calico/plan/config/values.ts';
import { quote } from '../../config/errors.ts';
import { calico } from '../help/texts/calico.ts';
import { checkChoice, type ParsedOptions, parseOptions } from '../parse-options.ts';
import { type Terminal, UsageError } from '../terminal.ts';

export interface SourceOptions {
  readonly kubeconfig?: string;
  readonly clusterFrom?: string;
}

export interface CalicoOptions extends SourceOptions {
  readonly nodeName: string;
  readonly backend: BackendChoice;
  readonly plan: PlanOptions;
  readonly keyDirectory: string;
  readonly allocate: boolean;
  readonly takeOver: boolean;
  readonly aks: boolean;
  /** Absent if the HTTP server is off. */
  readonly http?: { readonly host: string; readonly port: number };
  readonly once: boolean;
  readonly withdraw: boolean;
  readonly startupProbe: boolean;
}

const DEFAULT_HTTP = '127.0.0.1:9096';

export function parseCalicoOptions(args: readonly string[], { env }: Terminal): CalicoOptions {
  const { values } = parseOptions(calico, args);
  const takeOver = values['take-over'] === true;
  const given = text(values, 'backend');
  const named = given ?? (env['WGTS_BACKEND'] || (takeOver ? 'auto' : 'userspace'));
  const from = given === undefined ? '$WGTS_BACKEND' : '--backend';
  const backend: BackendChoice = checkChoice(from, named, BACKENDS);
  if ((backend === 'kernel' || backend === 'auto') && !takeOver)
    throw bad(from, backend, 'nodes whose kernel has WireGuard are left to Felix; use userspace, or add --take-over');
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
      '--allocate cannot be combined with podCIDRs (--use-pod-cidr, $USE_POD_CIDR), which determine the address; leave it out',
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
    startupProbe: values['startup-probe'] === true,
  };
}

type Values = ParsedOptions['values'];

export function source(values: Values): SourceOptions {
  const kubeconfig = text(values, 'kubeconfig');
  const clusterFrom = text(values, 'cluster-from');
  if (kubeconfig !== undefined && clusterFrom !== undefined)
    throw new UsageError('--kubeconfig and --cluster-from exclude each other: give one of them');
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
    throw bad(from, name, 'not the name of a Node (lower-case letters, digits, - and .); name it with --node NAME');
  return name;
}

/**
 * Returns whether the environment requests host encryption, by the same rule as calico-node's
 * allocateip. If it does, the device uses the node's address.
 */
function encryptsHosts(env: Terminal['env']): boolean {
  return Object.entries(env).some(
    ([name, value]) => /^felix_wireguardhostencryptionenabled$/i.test(name) && boolean(value ?? '')?.value === true,
  );
}

function flagOf(env: Terminal['env'], name: string): boolean {
  const text = env[name];
  if (!text) return false;
  const read = boolean(text);
  if (!read) throw bad(`$${name}`, text, `it must be ${boolean.expected}`);
  return read.value;
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** Parses a decimal number or, with 0x, a hexadecimal one. The plan checks its range. */
function number(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  if (!/^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})$/.test(value))
    throw bad(`--${name}`, value, 'it must be a number, such as 1000 or 0x3e8');
  return Number(value);
}

function httpOf(value: string): { host: string; port: number } | undefined {
  if (value === 'off') return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:]*)):([0-9]{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (!match || port > 65535) throw bad('--http', value, 'write HOST:PORT, [ADDRESS]:PORT or off');
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}

function bad(option: string, value: string, fix: string): UsageError {
  return new UsageError(`${option} ${quote(value)}: ${fix}`);
}
