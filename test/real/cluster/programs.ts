/**
 * Kubernetes' servers and kubectl for the real cluster: from KUBEBUILDER_ASSETS, or built from
 * their Go modules into the user's cache folder at first use (some minutes).
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubectlProgram } from '../../cluster/kubectl.ts';
import { builtOnce } from '../../support/built-once.ts';
import { kubernetesServers } from '../../support/machine.ts';
import { ROOT } from '../../support/repository.ts';

/** Go modules of the programs, a folder each. */
const SOURCES = join(ROOT, 'test/real/programs');
/** Names that one program of Kubernetes answers to. */
const KUBERNETES = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet'] as const;
const VERSION = 'v1.36.4';

export interface Programs {
  /** Returns the path of a server: etcd or one of Kubernetes'. */
  readonly server: (name: 'etcd' | (typeof KUBERNETES)[number]) => string;
  readonly kubectl: string;
  /** The program of the pause image, statically linked. */
  readonly pause: string;
}

/**
 * Finds or builds all programs.
 * @param onProgress receives how many Go packages of a program are compiled
 * @param signal ends a build. The promise then rejects with its reason
 */
export async function findPrograms(
  onProgress: (program: string, packages: number) => void,
  signal?: AbortSignal,
): Promise<Programs> {
  const build = (name: string, flags = '') =>
    builtOnce(name, target => goBuild({ name, target, flags, signal }, packages => onProgress(name, packages)));
  const pause = await build('pause');
  const given = kubernetesServers();
  const servers = [...KUBERNETES, 'etcd'] as const;
  if (given && servers.every(name => existsSync(join(given, name))))
    return { server: name => join(given, name), kubectl: await kubectlProgram(), pause };
  const etcd = await build('etcd');
  const version = 'k8s.io/component-base/version';
  const kubernetes = await build(
    'kubernetes',
    `-X ${version}.gitVersion=${VERSION} -X ${version}.gitMajor=1 -X ${version}.gitMinor=36`,
  );
  // Its name says which server it is.
  const named = async (name: string): Promise<string> =>
    builtOnce(name, link => symlinkSync(kubernetes, link), join(cacheFolder(), 'by-name'));
  const paths = Object.fromEntries(
    await Promise.all([...KUBERNETES, 'kubectl'].map(async name => [name, await named(name)] as const)),
  );
  return { server: name => (name === 'etcd' ? etcd : paths[name]!), kubectl: paths['kubectl']!, pause };
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'wireguard-ts', 'bin');
}

interface GoBuild {
  readonly name: string;
  readonly target: string;
  /** Flags of the linker. */
  readonly flags: string;
  readonly signal: AbortSignal | undefined;
}

async function goBuild({ name, target, flags, signal }: GoBuild, onPackages: (count: number) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `wgts-${name}-`));
  try {
    cpSync(join(SOURCES, name), folder, { recursive: true });
    await go(folder, ['mod', 'tidy'], signal, () => {});
    let packages = 0;
    await go(folder, ['build', '-v', '-trimpath', '-ldflags', `-s -w ${flags}`, '-o', target, '.'], signal, lines => {
      packages += lines;
      onPackages(packages);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param onLines receives the number of lines written since the last call */
function go(
  cwd: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
  onLines: (count: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, CGO_ENABLED: '0' };
    const child = spawn('go', args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'], ...(signal && { signal }) });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000);
      onLines(text.split('\n').length - 1);
    });
    child.on('error', error => {
      const failure = new Error(`go cannot be started: ${error.message} (apt-get install golang-go)`);
      reject(signal?.aborted ? (signal.reason as Error) : failure);
    });
    child.on('close', status =>
      status === 0 ? resolve() : reject(new Error(`go ${args.join(' ')} failed:\n${output}`)),
    );
  });
}
