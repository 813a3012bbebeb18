// What the demo of a real cluster needs from the machine and from the network, before it enters
// namespaces without either: its own code as one file, and Kubernetes' programs.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withProgress } from '../ready/progress.mjs';
import { Failure } from './failure.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLE = join(ROOT, 'dist/demo/real-cluster.mjs');
/** The control groups of the demo; unique, because other demos may run. */
const GROUP = `wgts-demo-${process.pid}`;
/** Programs, and the package of Debian that has each. */
const PROGRAMS = {
  go: 'golang-go',
  containerd: 'containerd',
  runc: 'runc',
  openssl: 'openssl',
  ip: 'iproute2',
  wg: 'wireguard-tools',
  tcpdump: 'tcpdump',
  tar: 'tar',
};
const CNI_PLUGIN = '/usr/lib/cni/ptp';

/** Builds what is missing. @throws Failure; the reason of `signal` */
export async function prepare({ signal }) {
  checkMachine();
  process.env.WGTS_REPOSITORY = ROOT;
  process.env.WGTS_DEMO_GROUP = GROUP;
  await bundle();
  signal.throwIfAborted();
  const { findPrograms } = await import(pathToFileURL(BUNDLE).href);
  await withProgress("Kubernetes' programs", report =>
    findPrograms((program, packages) => report(`${program}: ${packages} Go packages compiled`), signal),
  );
}

/** Removes what could outlive the namespaces. */
export async function cleanUp() {
  if (!existsSync(BUNDLE)) return;
  const { removeGroups } = await import(pathToFileURL(BUNDLE).href);
  await removeGroups(GROUP);
}

function checkMachine() {
  if (process.getuid() !== 0)
    throw new Failure('three kubelets need root: run it as root, or try npm run demo:calico, which does not');
  const missing = Object.entries(PROGRAMS).filter(
    ([name]) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
  );
  const packages = missing.map(([, name]) => name);
  if (!existsSync(CNI_PLUGIN)) packages.push('containernetworking-plugins');
  if (packages.length > 0)
    throw new Failure(
      `missing: ${[...missing.map(([name]) => name), ...(existsSync(CNI_PLUGIN) ? [] : [CNI_PLUGIN])].join(', ')}; apt-get install ${packages.join(' ')}`,
    );
}

async function bundle() {
  const { rolldown } = await import('rolldown');
  const made = await rolldown({ cwd: ROOT, input: join(ROOT, 'test/real/cluster/index.ts'), platform: 'node' });
  await made.write({ file: BUNDLE, format: 'esm' });
}
