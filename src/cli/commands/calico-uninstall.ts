/** `wgts calico uninstall`: prints the plan, or removes the agent from nodes and cluster. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  deleteAll,
  planRemoval,
  type Removal,
  removeKeys,
  withdrawAgents,
} from '../../calico/install/change/removal.ts';
import type { Patience } from '../../calico/install/change/rollout.ts';
import { checkPermissions } from '../../calico/install/cluster/permissions.ts';
import { field, nameOf, textField } from '../../calico/model/resource.ts';
import { quote } from '../../config/errors.ts';
import { loadDeployFiles } from '../deploy-tree.ts';
import { calicoUninstall as model } from '../help/texts/calico-install.ts';
import { parseOptions } from '../parse-options.ts';
import { type Command, UsageError } from '../terminal.ts';
import { openCluster } from './calico-install.ts';
import { text } from './calico-options.ts';

interface UninstallOptions {
  readonly apply: boolean;
  readonly force: boolean;
  readonly timeoutMs: number;
  readonly kubeconfig?: string;
}

const DEFAULT_TIMEOUT_S = 600;
const MOST_NAMES = 20;

export const calicoUninstall: Command = async (args, terminal) => {
  const { apply, force, timeoutMs, ...options } = optionsOf(args);
  const [{ tree }, api] = [await loadDeployFiles(), await openCluster(options, terminal)];
  const removal = await planRemoval(api, tree);
  const { objects, labelled, agents } = removal;
  if (objects.length === 0 && labelled.length === 0) {
    terminal.out('The agent is not installed in this cluster: there is nothing to remove\n');
    return 0;
  }
  for (const name of helmReleases(removal))
    terminal.err(`Note: the Helm release ${name} keeps its own record; remove it afterwards: helm uninstall ${name}\n`);
  if (!apply) {
    for (const line of describe(removal)) terminal.out(`${line}\n`);
    return 0;
  }
  const missing = await checkPermissions(api, objects, ['delete']);
  for (const { message, fix } of missing) terminal.err(`Error: ${message}\n  ${fix}\n`);
  if (missing.length > 0) return 1;
  const log = (line: string): void => terminal.out(`${line}\n`);
  const patience: Patience = { now: () => performance.now(), sleep, timeoutMs, log };
  const failure = await withdrawAgents(api, removal, patience);
  if (failure !== undefined) {
    terminal.err(`${force ? 'Warning' : 'Error'}: not all nodes are done after ${timeoutMs / 1000} s: ${failure}\n`);
    if (!force) {
      terminal.err(
        '  Nothing was deleted. Repair these nodes and run the command again; it continues. For nodes that are gone for good, add --force\n',
      );
      return 1;
    }
    const names = await removeKeys(api, agents);
    if (names.length > 0) terminal.err(`Warning: removed the keys of ${names.join(', ')} without their agents\n`);
  }
  await deleteAll(api, removal, log);
  log(
    'The agent is removed. The private keys stay in /var/lib/wireguard-ts on the nodes: delete that folder if you no longer need it',
  );
  return 0;
};

function* describe({ agents, objects, labelled }: Removal): Generator<string> {
  let step = 1;
  if (agents.length > 0) {
    yield `${step++}. On each node with an agent: withdraw the key, then remove the tunnel`;
    yield `${step++}. On each of these nodes: remove what is left (wgts calico --withdraw)`;
  }
  if (objects.length > 0) {
    yield `${step++}. Delete:`;
    for (const object of objects) yield `   ${nameOf(object)}`;
  }
  if (labelled.length > 0) {
    const more = labelled.length > MOST_NAMES ? ` and ${labelled.length - MOST_NAMES} more` : '';
    yield `${step++}. Remove the label wireguard-ts.io/kernel-module from: ${labelled.slice(0, MOST_NAMES).join(', ')}${more}`;
  }
  yield 'Nothing was changed. To do this: wgts calico uninstall --apply';
}

function helmReleases({ objects }: Removal): readonly string[] {
  const names = objects.flatMap(
    ({ metadata }) => textField(field(metadata, 'annotations'), 'meta.helm.sh/release-name') ?? [],
  );
  return [...new Set(names)];
}

function optionsOf(args: readonly string[]): UninstallOptions {
  const { values } = parseOptions(model, args);
  const kubeconfig = text(values, 'kubeconfig');
  const timeout = text(values, 'timeout') ?? String(DEFAULT_TIMEOUT_S);
  if (!/^[0-9]{1,6}$/.test(timeout))
    throw new UsageError(`--timeout ${quote(timeout)} must be a number of seconds, such as ${DEFAULT_TIMEOUT_S}`);
  return {
    apply: values['apply'] === true,
    force: values['force'] === true,
    timeoutMs: Number(timeout) * 1000,
    ...(kubeconfig !== undefined && { kubeconfig }),
  };
}
