/**
 * Implements Datastore on files: Nodes and Calico's objects as `kubectl get -o yaml` prints them,
 * in one file or a folder, watched for changes. Agents that share a folder form a cluster without
 * an API server: each agent writes its key into the document of its own Node.
 */
import { codedError } from '../../../base/coded-error.ts';
import type { Problem } from '../../model/problem.ts';
import { quoted } from '../../model/problem.ts';
import { ChangeNotifier } from '../change-notifier.ts';
import { ClusterCache } from '../cluster-cache.ts';
import type { Closable, Datastore, NodeEvent, SnapshotListener } from '../datastore.ts';
import { loadYamlLibrary } from '../parse/exact-yaml.ts';
import { type Fields, isFields } from '../parse/reader.ts';
import { CALICO_GROUPS, KINDS, type Kind, keyOf, kindOf } from '../resource-kinds.ts';
import { FileEditor } from './editor.ts';
import { fileObjects } from './objects.ts';
import { FileSet } from './set.ts';

export interface FileDatastoreOptions {
  /** Path of a file, or of a folder with .yaml, .yml and .json files. */
  readonly path: string;
  /** Called with each Event: files have no place for Events. */
  readonly onEvent?: (event: NodeEvent) => void;
}

type Change = Readonly<Record<string, string | null>>;

/** Opens the datastore. Does not read files until the first `watch`. */
export async function openFileDatastore({ path, onEvent }: FileDatastoreOptions): Promise<Datastore> {
  const yaml = await loadYamlLibrary();
  const cache = new ClusterCache(false);
  let wantsPods = false;
  let fileProblems: readonly Problem[] = [];
  let joined: { readonly of: readonly (readonly Problem[])[]; readonly problems: readonly Problem[] } | undefined;
  const problems = (): readonly Problem[] => {
    const of = [cache.problems, fileProblems];
    if (!joined?.of.every((each, i) => each === of[i])) joined = { of, problems: of.flat() };
    return joined!.problems;
  };
  const notifier = new ChangeNotifier(() => ({
    cluster: cache.cluster,
    problems: problems(),
    synced: files.hasSynced,
    keyOwners: cache.keyOwners,
    ...(files.stale !== undefined && { stale: files.stale }),
  }));
  const files = new FileSet(path, yaml, () => {
    fileProblems = fill(cache, files, wantsPods);
    notifier.notify();
  });
  const editor = new FileEditor(path, files, yaml);
  // Runs this program's writes one at a time; the lock file excludes other programs.
  let last: Promise<unknown> = Promise.resolve();
  const serialize = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
  const patch = async (name: string, what: 'annotations' | 'labels', change: Change): Promise<void> => {
    const isNode = (object: unknown): boolean => kindOf(object) === 'Node' && keyOf('Node', object) === name;
    const found = await serialize(() => editor.edit(isNode, node => patched(node, what, change)));
    if (!found) throw codedError('ENOENT', `${path} has no Node ${quoted(name)}: add its document, with metadata.name`);
  };
  return {
    watch(listener: SnapshotListener): Closable {
      files.start();
      return notifier.add(listener);
    },
    wantPods(wanted) {
      wantsPods = wanted;
      fileProblems = fill(cache, files, wantsPods);
      notifier.notify();
    },
    rememberKeyOwners(owners) {
      cache.rememberKeyOwners(owners);
      notifier.notify();
    },
    patchNode: (name, annotations) => patch(name, 'annotations', annotations),
    labelNode: (name, labels) => patch(name, 'labels', labels),
    reportEvent: event => onEvent?.(event),
    objects: fileObjects(editor, serialize),
    async close() {
      notifier.close();
      await files.close();
      await last;
    },
  };
}

function fill(cache: ClusterCache, { files }: FileSet, wantsPods: boolean): readonly Problem[] {
  const problems = files.flatMap(({ problem }) => problem ?? []);
  const found = new Map<Kind, Map<string, unknown>>(KINDS.map(kind => [kind, new Map()]));
  let nameless = 0;
  for (const object of files.flatMap(({ documents }) => documents.flatMap(({ objects }) => objects))) {
    const kind = kindOf(object);
    if (!kind) {
      const problem = unknownVersion(object);
      if (problem) problems.push(problem);
      continue;
    }
    const key = keyOf(kind, object) ?? `\n${nameless++}`;
    const objects = found.get(kind)!;
    if (objects.has(key))
      problems.push({
        object: `${kind}/${key}`,
        reason: 'DuplicateObject',
        message: 'the files hold two objects of this name; the first one is used: remove the other',
      });
    else objects.set(key, object);
  }
  for (const kind of KINDS) {
    const objects = kind === 'Pod' && !wantsPods ? [] : [...found.get(kind)!.values()];
    cache.replace(
      kind,
      objects.map(object => cache.read(kind, object)),
    );
  }
  return problems;
}

/**
 * Reports an object that has one of our kinds but an unknown apiVersion. That is more likely a
 * mistake than a foreign kind with the same name.
 */
function unknownVersion(object: unknown): Problem | undefined {
  if (!isFields(object) || !KINDS.some(kind => kind === object['kind'])) return undefined;
  const { apiVersion, kind, metadata } = object;
  const name = isFields(metadata) ? metadata['name'] : undefined;
  const known = ['v1', ...CALICO_GROUPS].join(', ');
  const message = `apiVersion is ${quoted(apiVersion)}, but must be one of ${known}; the object is ignored`;
  return {
    object: `${kind}/${typeof name === 'string' ? name.slice(0, 253) : '?'}`,
    reason: 'UnknownVersion',
    message,
  };
}

function patched(node: unknown, what: 'annotations' | 'labels', change: Change): unknown {
  const fields = node as Fields;
  const metadata = fields['metadata'] as Fields;
  const before: Fields = isFields(metadata[what]) ? metadata[what] : {};
  const after = Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, text]) => text !== null));
  const same = Object.entries(change).every(([key, text]) => (before[key] ?? null) === text);
  return same ? node : { ...fields, metadata: { ...metadata, [what]: after } };
}
