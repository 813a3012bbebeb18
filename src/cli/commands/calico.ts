/** `wgts calico`: assembles the agent and runs it until a signal arrives. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from '../../calico/agent/agent.ts';
import type { AgentDependencies } from '../../calico/agent/dependencies.ts';
import { ipamPort } from '../../calico/agent/ipam.ts';
import { type Machine, openMachine } from '../../calico/agent/machine.ts';
import { type HttpServer, serveHttp } from '../../calico/agent/report/http.ts';
import { Metrics } from '../../calico/agent/report/metrics.ts';
import { openDatastore } from '../../calico/agent/source.ts';
import { type AgentStatus, unreadyReasons } from '../../calico/agent/status.ts';
import { withdrawAll } from '../../calico/agent/withdraw.ts';
import { Applier } from '../../calico/apply/applier.ts';
import type { Datastore } from '../../calico/datastore/datastore.ts';
import { isEnabled } from '../../calico/plan/config/felix-config.ts';
import { matches, parseSelector } from '../../calico/plan/config/selector.ts';
import { AddressAllocator } from '../../calico/publish/ipam/allocator.ts';
import { Publisher, systemTimerClock } from '../../calico/publish/publisher.ts';
import { forbidDumps } from '../../io/secrets.ts';
import type { Command, Terminal } from '../terminal.ts';
import { type CalicoOptions, parseCalicoOptions } from './calico-options.ts';

const ONCE_TIMEOUT_MS = 60_000;

export const calico: Command = async (args, terminal) => {
  const options = parseCalicoOptions(args, terminal);
  forbidDumps();
  const log = (text: string): void => terminal.err(`${text}\n`);
  const warn = (text: string): void => terminal.err(`Warning: ${text}\n`);
  if (args.includes('--allocate') && !options.allocate)
    log(
      "--allocate: with host encryption, no address is allocated (as in calico-node), because the device has the node's address",
    );
  const told = new AbortController();
  const stop = (signal: NodeJS.Signals) => told.abort(signal);
  process.on('SIGTERM', stop).on('SIGINT', stop);
  let machine: Machine | undefined;
  let datastore: Datastore | undefined;
  try {
    const { keyDirectory, backend, aks } = options;
    // The device outlives --once. If it inherited our output, a reader of that output would wait
    // forever.
    const keepOutput = !options.once && !options.withdraw;
    machine = openMachine({ keyDirectory, backend, aks, keepOutput, log, warn });
    datastore = await openDatastore({ ...options, log, env: terminal.env });
    return await run(options, terminal, machine, datastore, told.signal);
  } finally {
    // A pending request would keep the process alive.
    told.abort();
    await datastore?.close();
    machine?.close();
    process.off('SIGTERM', stop).off('SIGINT', stop);
  }
};

async function run(
  options: CalicoOptions,
  terminal: Terminal,
  machine: Machine,
  datastore: Datastore,
  told: AbortSignal,
): Promise<number> {
  const { nodeName, plan, takeOver } = options;
  const { log, warn } = machine.host;
  const clock = systemTimerClock;
  const { interfaceNames, table } = plan;
  const owned = {
    4: { interfaceName: interfaceNames[4], table },
    6: { interfaceName: interfaceNames[6], table },
  };
  const applier = new Applier(machine.host, { owned });
  const publisher = new Publisher({ node: nodeName, api: datastore, clock, log, warn });
  const allocator = options.allocate ? allocatorOf(nodeName, datastore, log) : undefined;
  const optional = allocator && { allocator };
  if (options.withdraw) return withdrawAll({ nodeName, datastore, publisher, applier, machine, warn, ...optional });
  const dependencies: AgentDependencies = {
    datastore,
    applier,
    publisher,
    machine,
    clock,
    random: Math.random,
    log,
    warn,
    ...optional,
  };
  const agent = new Agent({ nodeName, environment: terminal.env, plan, takeOver }, dependencies);
  const backend = await terminal.openBackend();
  const status = () => agent.status;
  const now = () => clock.now();
  const metrics = new Metrics({ hostname: hostname(), backend, now });
  let http: HttpServer | undefined;
  try {
    if (options.http && !options.once) http = await serveHttp({ ...options.http, metrics, status, now });
    agent.start();
    if (!options.once) await aborted(told);
    else if (!(await Promise.race([agent.waitUntilConverged(ONCE_TIMEOUT_MS), aborted(told).then(() => false)]))) {
      if (told.aborted) return told.reason === 'SIGINT' ? 130 : 143;
      for (const line of unsettled(agent.status)) warn(line);
      return 1;
    }
    if (isOff(agent.status)) log(OFF);
    return 0;
  } finally {
    http?.close();
    await agent.stop();
    backend.close();
  }
}

const OFF =
  'WireGuard is off in this cluster (wireguardEnabled of FelixConfiguration default is false or absent), so there is nothing to encrypt; to switch it on: ' +
  `kubectl patch felixconfiguration default --type=merge -p '{"spec":{"wireguardEnabled":true}}'`;

/** Returns whether the cluster enables WireGuard for neither family. */
export function isOff({ phase, plan }: AgentStatus): boolean {
  return phase === 'running' && plan !== undefined && !isEnabled(plan.parameters, 4) && !isEnabled(plan.parameters, 6);
}

/** Explains why --once ended without convergence. */
export function unsettled(status: AgentStatus): string[] {
  const problems = status.problems.map(({ object, reason, message }) => `${object}: ${reason}: ${message}`);
  return ['not converged after 60 s', ...unreadyReasons(status), ...problems];
}

function allocatorOf(node: string, datastore: Datastore, log: (text: string) => void): AddressAllocator {
  let labels: Readonly<Record<string, string>> = {};
  datastore.watch(({ cluster }) => {
    labels = cluster.nodes.get(node)?.labels ?? labels;
  });
  return new AddressAllocator({
    node,
    ipam: ipamPort(datastore.objects),
    api: datastore,
    matches(nodeSelector) {
      const selector = parseSelector(nodeSelector);
      return !('error' in selector) && matches(selector, labels);
    },
    pause: attempt => sleep(10 * attempt * (1 + Math.random())),
    now: Date.now,
    log,
  });
}

/** Waits for a signal. Signal handlers do not keep the process alive, so a timer does. */
async function aborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(2 ** 30, undefined, { signal }).catch(() => {});
}
