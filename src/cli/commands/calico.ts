/** `wgts calico`: assembles the agent, and runs it while it leads the node, until a signal. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from '../../calico/agent/agent.ts';
import type { AgentDependencies, AgentOptions } from '../../calico/agent/dependencies.ts';
import { ipamPort } from '../../calico/agent/ipam.ts';
import { leadershipChannel } from '../../calico/agent/leadership/channel.ts';
import { nameOwner, ownIdentity, ownPidNamespace, peerUser } from '../../calico/agent/leadership/identity.ts';
import { leadFor, shareLeadership } from '../../calico/agent/leadership/leadership.ts';
import { rehearse } from '../../calico/agent/leadership/rehearsal.ts';
import { startupFailure } from '../../calico/agent/leadership/startup-probe.ts';
import { NO_TOKEN, stepDownToken, TOKEN_FILE } from '../../calico/agent/leadership/step-down-token.ts';
import { type Machine, openMachine } from '../../calico/agent/machine.ts';
import { serveHttpWhenFree } from '../../calico/agent/report/http-when-free.ts';
import { Metrics } from '../../calico/agent/report/metrics.ts';
import { openDatastore } from '../../calico/agent/source.ts';
import { type AgentStatus, unreadyReasons } from '../../calico/agent/status.ts';
import { withdrawAll } from '../../calico/agent/withdraw.ts';
import { Applier } from '../../calico/apply/applier.ts';
import { RECORD_FILE } from '../../calico/apply/state/record.ts';
import { RUNNER_FILE } from '../../calico/apply/state/runner.ts';
import { StateDirectory } from '../../calico/apply/state/state-directory.ts';
import { TRUST_FILE } from '../../calico/apply/state/trust-file.ts';
import type { Datastore } from '../../calico/datastore/datastore.ts';
import { isEnabled } from '../../calico/plan/config/felix-config.ts';
import { matches, parseSelector } from '../../calico/plan/config/selector.ts';
import { AddressAllocator } from '../../calico/publish/ipam/allocator.ts';
import { Publisher, systemTimerClock } from '../../calico/publish/publisher.ts';
import { limitHeapGrowth } from '../../io/heap-growth.ts';
import { version } from '../../io/installation.ts';
import { forbidDumps } from '../../io/secrets.ts';
import type { Command, Terminal } from '../terminal.ts';
import { type CalicoOptions, parseCalicoOptions } from './calico-options.ts';

const ONCE_TIMEOUT_MS = 60_000;

export const calico: Command = async (args, terminal) => {
  const options = parseCalicoOptions(args, terminal);
  if (options.startupProbe) return probe(terminal);
  forbidDumps();
  limitHeapGrowth();
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
    const { once, withdraw } = options;
    machine = openMachineFor(options, log, warn);
    datastore = await openDatastore({ ...options, log, env: terminal.env });
    const self = ownIdentity(options.keyDirectory);
    const token = stepDownToken(new StateDirectory(options.keyDirectory, warn));
    const channel = leadershipChannel({ self, peerUser, owner: nameOwner, token, warn });
    const term = { options, terminal, datastore, log, warn };
    const waiting = machine;
    if (once || withdraw)
      return await leadFor({ channel, warn }, () => (once ? converge : remove)(term, waiting, told.signal));
    await shareLeadership({
      channel,
      self,
      stop: told.signal,
      prepare: signal => rehearse(agentOptions(term), { ...term, machine: waiting }, signal),
      lead: signal => lead(term, signal),
      sleep: pause,
      now: () => performance.now(),
      log,
      warn,
    });
    return 0;
  } finally {
    // A pending request would keep the process alive.
    told.abort();
    await datastore?.close();
    machine?.close();
    process.off('SIGTERM', stop).off('SIGINT', stop);
  }
};

/** What each term of leadership starts from. */
interface Term {
  readonly options: CalicoOptions;
  readonly terminal: Terminal;
  readonly datastore: Datastore;
  log(text: string): void;
  warn(text: string): void;
}

async function probe({ err }: Terminal): Promise<number> {
  const pidNamespace = ownPidNamespace();
  const self = { version: version(), pidNamespace, pid: process.pid, stateDirectory: '-' };
  const channel = leadershipChannel({ self, peerUser, owner: nameOwner, token: NO_TOKEN, warn: () => {} });
  const failure = await startupFailure(channel, pidNamespace, {
    sleep: pause,
    now: () => performance.now(),
  });
  if (failure !== undefined) err(`wgts calico --startup-probe: ${failure}\n`);
  return failure === undefined ? 0 : 1;
}

/** Runs the agent until the signal. */
async function lead(term: Term, signal: AbortSignal): Promise<void> {
  const { options, terminal, log, warn } = term;
  // The machine remembers what it recorded, which another agent may have changed before this term.
  const machine = openMachineFor(options, log, warn);
  const backend = await terminal.openBackend();
  const agent = new Agent(agentOptions(term), dependenciesOf(term, machine));
  const now = () => systemTimerClock.now();
  const metrics = new Metrics({ hostname: hostname(), backend, now });
  let endHttp = (): void => {};
  try {
    if (options.http)
      endHttp = await serveHttpWhenFree({ ...options.http, metrics, status: () => agent.status, now }, warn);
    agent.start();
    await aborted(signal);
    if (isOff(agent.status)) log(OFF);
  } finally {
    endHttp();
    await agent.stop();
    backend.close();
    machine.close();
  }
}

/** --once: runs the agent until this node matches the cluster. @returns the exit status */
async function converge(term: Term, machine: Machine, told: AbortSignal): Promise<number> {
  const agent = new Agent(agentOptions(term), dependenciesOf(term, machine));
  try {
    agent.start();
    if (!(await Promise.race([agent.waitUntilConverged(ONCE_TIMEOUT_MS), aborted(told).then(() => false)]))) {
      if (told.aborted) return told.reason === 'SIGINT' ? 130 : 143;
      for (const line of unsettled(agent.status)) term.warn(line);
      return 1;
    }
    if (isOff(agent.status)) term.log(OFF);
    return 0;
  } finally {
    await agent.stop();
  }
}

/** --withdraw: keeps only the private keys, for the next time. @returns the exit status */
async function remove(term: Term, machine: Machine): Promise<number> {
  const { nodeName, keyDirectory } = term.options;
  const applier = applierOf(term, machine);
  const status = await withdrawAll({ ...dependenciesOf(term, machine), nodeName, applier, machine });
  if (status === 0)
    new StateDirectory(keyDirectory, term.warn).remove(RECORD_FILE, RUNNER_FILE, TOKEN_FILE, TRUST_FILE);
  return status;
}

function openMachineFor(options: CalicoOptions, log: Term['log'], warn: Term['warn']): Machine {
  const { keyDirectory, backend, aks, once, withdraw } = options;
  // The device outlives --once. If it inherited our output, a reader of that output would wait
  // forever.
  const keepOutput = !once && !withdraw;
  return openMachine({ keyDirectory, backend, aks, keepOutput, log, warn });
}

function agentOptions({ options, terminal }: Term): AgentOptions {
  const { nodeName, plan, takeOver } = options;
  return { nodeName, environment: terminal.env, plan, takeOver };
}

function applierOf({ options }: Term, machine: Machine): Applier {
  const { interfaceNames, table } = options.plan;
  const owned = {
    4: { interfaceName: interfaceNames[4], table },
    6: { interfaceName: interfaceNames[6], table },
  };
  return new Applier(machine.host, { owned });
}

function dependenciesOf(term: Term, machine: Machine): AgentDependencies {
  const { options, datastore, log, warn } = term;
  const clock = systemTimerClock;
  const allocator = options.allocate ? allocatorOf(options.nodeName, datastore, log) : undefined;
  return {
    datastore,
    applier: applierOf(term, machine),
    publisher: new Publisher({ node: options.nodeName, api: datastore, clock, log, warn }),
    machine,
    clock,
    random: Math.random,
    log,
    warn,
    ...(allocator && { allocator }),
  };
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

/** Resolves after this time, or when it is aborted. */
function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return sleep(milliseconds, undefined, signal && { signal }).catch(() => {});
}

/** Waits for a signal. Signal handlers do not keep the process alive, so a timer does. */
async function aborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(2 ** 30, undefined, { signal }).catch(() => {});
}
