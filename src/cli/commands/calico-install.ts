/** `wgts calico install`: prints or applies what fits the cluster. */
import { setTimeout as sleep } from 'node:timers/promises';
import { applyObject, type Change, deleteObject, findLeftOver } from '../../calico/install/change/apply.ts';
import { comparable, sorted, unifiedDiff } from '../../calico/install/change/diff.ts';
import type { ClusterApi } from '../../calico/install/cluster/api.ts';
import { check, type Finding } from '../../calico/install/cluster/checks.ts';
import { choose, namespaceOf, type Wishes } from '../../calico/install/cluster/choice.ts';
import { type Found, NOTHING_FOUND } from '../../calico/install/cluster/found.ts';
import { inspectCluster } from '../../calico/install/cluster/inspection.ts';
import { checkPermissions } from '../../calico/install/cluster/permissions.ts';
import { imageChange } from '../../calico/install/render/image.ts';
import {
  type Choice,
  COMPONENTS,
  everyObject,
  INSTALLATION_NAMES,
  renderChoice,
} from '../../calico/install/render/manifests.ts';
import { nameOf, type Resource } from '../../calico/model/resource.ts';
import { quote } from '../../config/errors.ts';
import { version } from '../../io/installation.ts';
import { type DeployFiles, loadDeployFiles } from '../deploy-tree.ts';
import { calicoInstall as model } from '../help/texts/calico-install.ts';
import { checkChoice, type ParsedOptions, parseOptions } from '../parse-options.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';
import { text } from './calico-options.ts';

interface InstallOptions {
  readonly mode: 'print' | 'apply' | 'dry-run' | 'diff';
  readonly wishes: Wishes;
  readonly offline: boolean;
  readonly kubeconfig?: string;
}

/** With --diff, status 1 is a difference. */
const NOT_COMPARED = 3;
const VERBS = ['get', 'create', 'patch'] as const;

export const calicoInstall: Command = async (args, terminal) => {
  const options = optionsOf(args);
  try {
    return await install(options, terminal);
  } catch (error) {
    if (options.mode === 'diff') Object.assign(error as Error, { exitStatus: NOT_COMPARED });
    throw error;
  }
};

async function install(options: InstallOptions, terminal: Terminal): Promise<number> {
  const { mode, wishes, offline } = options;
  const files = await loadDeployFiles();
  const api = offline ? undefined : await openCluster(options, terminal);
  const found = api ? await inspectCluster(api) : NOTHING_FOUND;
  const choice = choose(found, wishes, files.tree);
  const objects = choice ? renderChoice(files.tree, choice) : [];
  const findings = api ? [...check(found, choice, version())] : [];
  if (api && mode !== 'print') findings.unshift(...(await checkPermissions(api, objects, VERBS)));
  for (const line of describe(found, choice, offline)) terminal.err(`${line}\n`);
  for (const { severity, message, fix } of findings) terminal.err(`${LABEL[severity]}: ${message}\n  ${fix}\n`);
  if (!choice || findings.some(({ severity }) => severity === 'error')) return mode === 'diff' ? NOT_COMPARED : 1;
  if (!api || mode === 'print') {
    terminal.out(objects.map(object => files.yaml.dump(object)).join('---\n'));
    return 0;
  }
  const changes = change(api, objects, everyObject(files.tree), mode !== 'apply');
  return mode === 'diff' ? await printDiff(changes, files, terminal) : await printOutcomes(changes, mode, terminal);
}

const LABEL: Readonly<Record<Finding['severity'], string>> = { error: 'Error', warning: 'Warning', hint: 'Note' };

/** Applies the objects, and removes those that an earlier choice had in addition. */
async function* change(
  api: ClusterApi,
  objects: readonly Resource[],
  every: readonly Resource[],
  dryRun: boolean,
): AsyncGenerator<Change> {
  for (const object of objects) yield await named(object, () => applyObject(api, object, dryRun));
  for (const object of await findLeftOver(api, every, objects)) {
    const deleted = await named(object, () => deleteObject(api, object, dryRun));
    if (deleted) yield deleted;
  }
}

async function printOutcomes(
  changes: AsyncIterable<Change>,
  mode: InstallOptions['mode'],
  terminal: Terminal,
): Promise<number> {
  const suffix = mode === 'dry-run' ? ' (server dry run)' : '';
  for await (const { object, outcome } of changes) terminal.out(`${nameOf(object)} ${outcome}${suffix}\n`);
  return 0;
}

async function printDiff(changes: AsyncIterable<Change>, { yaml }: DeployFiles, terminal: Terminal): Promise<number> {
  let isDifferent = false;
  const dump = (object: unknown): string => (object === undefined ? '' : yaml.dump(sorted(comparable(object))));
  for await (const { object, before, after } of changes) {
    const difference = unifiedDiff(nameOf(object), dump(before), dump(after));
    isDifferent ||= difference !== '';
    terminal.out(difference);
  }
  return isDifferent ? 1 : 0;
}

/** Adds the object to the message of a refusal. */
async function named<T>(object: Resource, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    throw Object.assign(error as Error, { message: `${nameOf(object)}: ${message}` });
  }
}

function* describe(found: Found, choice: Choice | undefined, offline: boolean): Generator<string> {
  const { version: kubernetes, nodes, operator, calicoNodes } = found;
  if (!offline) {
    yield `Kubernetes: ${kubernetes?.text ?? 'unknown version'}${found.isOpenShift ? ', OpenShift' : ''}; Linux nodes: ${nodes.linux}, ${nodes.withModule} of them with WireGuard in the kernel`;
    const by = operator
      ? `by the Tigera operator${operator.cni === '' ? '' : `, CNI ${operator.cni}`}${operator.provider === '' ? '' : `, on ${operator.provider}`}`
      : 'by manifest';
    const places = calicoNodes.map(({ namespace }) => namespace).join(', ');
    yield `Calico: ${places || operator ? `${by}${places && `, in ${places}`}` : 'not found'}`;
  }
  if (!choice) return;
  const { installation, components, env } = choice;
  const more = components.length === 0 ? '' : `, with ${components.join(', ')}`;
  yield `Installation: ${installation}, into ${namespaceOf(installation)}${more}`;
  if (env.length > 0)
    yield `Variables of calico-node that the agent gets too: ${env.map(({ name }) => name).join(', ')}`;
}

function optionsOf(args: readonly string[]): InstallOptions {
  const { values } = parseOptions(model, args);
  const modes = (['apply', 'dry-run', 'diff'] as const).filter(name => values[name] === true);
  if (modes.length > 1)
    throw new UsageError(`${modes.map(name => `--${name}`).join(' and ')} exclude each other: give one`);
  const [mode = 'print'] = modes;
  const [installation, image] = [text(values, 'for'), text(values, 'image')];
  const offline = values['offline'] === true;
  if (offline && installation === undefined)
    throw new UsageError(`--offline needs --for, because no cluster says how Calico was installed`);
  if (offline && mode !== 'print') throw new UsageError(`--offline excludes --${mode}, which needs a cluster`);
  const parsed = image === undefined ? undefined : imageChange(image);
  if (image !== undefined && !parsed)
    throw new UsageError(`--image ${quote(image)} names no image; write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:...`);
  const kubeconfig = text(values, 'kubeconfig');
  const [components, without] = [componentsOf('--with', values), componentsOf('--without', values)];
  const both = components.find(name => without.includes(name));
  if (both !== undefined) throw new UsageError(`--with and --without both name ${both}: give it to one of them`);
  return {
    mode,
    offline,
    wishes: {
      ...(installation !== undefined && { installation: checkChoice('--for', installation, INSTALLATION_NAMES) }),
      ...(parsed && { image: parsed }),
      components,
      without,
    },
    ...(kubeconfig !== undefined && { kubeconfig }),
  };
}

function componentsOf(option: '--with' | '--without', values: ParsedOptions['values']): Wishes['components'] {
  const names = (text(values, option.slice(2)) ?? '').split(',').filter(name => name !== '');
  // It is part of every installation now. Commands of people may still name it.
  const isFormer = (name: string) => name === 'own-node-only' && option === '--with';
  return names.filter(name => !isFormer(name)).map(name => checkChoice(option, name, COMPONENTS));
}

/** Connects to the cluster. @throws Error with `code` EINVAL that names the unusable option */
export async function openCluster(
  { kubeconfig }: { readonly kubeconfig?: string },
  { env }: Terminal,
): Promise<ClusterApi> {
  const { openResources } = await import('../../calico/datastore/api/resources.ts');
  try {
    return await openResources({ env, sleep, ...(kubeconfig !== undefined && { kubeconfig }) });
  } catch (error) {
    throw Object.assign(error as Error, { message: `${(error as Error).message}; name one with --kubeconfig FILE` });
  }
}
