/**
 * A real control plane for tests: etcd and kube-apiserver on free loopback ports, with files in a
 * folder of their own and RBAC on. The programs come from KUBEBUILDER_ASSETS, like envtest's, or
 * from the shared build.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith } from '../netns/needs.ts';
import { kubernetesServers } from '../support/machine.ts';
import { HANG_MS } from '../support/patience.ts';

export interface ControlPlane {
  /** An administrator's kubeconfig. */
  readonly kubeconfig: string;
  readonly server: string;
  /** The CA, for a test's own kubeconfig or service account. */
  readonly caFile: string;
  /** The folder of the control plane's files. */
  readonly folder: string;
  /** Returns a kubeconfig with this token. */
  kubeconfigFor(token: string, name: string): string;
  /** Sends a request as administrator. Rejects for a status of 400 or more. */
  api(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Creates or replaces objects; waits until a CRD is served. */
  apply(...objects: readonly Manifest[]): Promise<void>;
  /** Kills the API server, like a lost machine; its data stays in etcd. */
  stopApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  stop(): Promise<void>;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

const ADMIN = 'admin-of-the-test';
/** A kube-apiserver is ready in about 5 s; on two busy cores it takes longer. */
const READY_TIMEOUT_MS = 600_000;

/** `describe` if a control plane and Calico's CRDs are available; in CI their absence fails. */
export function describeCluster(name: string, body: () => void): void {
  describeWith(['kube-apiserver', 'openssl', '../shared/calico'], name, body);
}

export interface ControlPlaneOptions {
  /**
   * The host's address at which nodes reach the server, for kubeconfigs; default: loopback only.
   */
  readonly address?: string;
}

export async function startControlPlane({ address }: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const programs = kubernetesServers();
  if (!programs) throw new Error('there is no kube-apiserver: set KUBEBUILDER_ASSETS');
  const folder = mkdtempSync(join(tmpdir(), 'wgts-control-plane-'));
  const [etcdPort, etcdPeerPort, port] = await Promise.all([freePort(), freePort(), freePort()]);
  const running: ChildProcess[] = [];
  const run = (name: string, args: readonly string[]): ChildProcess => {
    const child = spawn(join(programs, name), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
    running.push(child);
    return child;
  };
  const { caFile, certFile, keyFile } = certificate(folder, address);
  const accountKey = join(folder, 'service-accounts.key');
  execFileSync('openssl', ['genrsa', '-out', accountKey, '2048'], { stdio: 'ignore' });
  writeFileSync(join(folder, 'tokens.csv'), `${ADMIN},admin,admin,system:masters\n`, { mode: 0o600 });
  const local = `https://127.0.0.1:${port}`;
  const server = address === undefined ? local : `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
  const kubeconfigFor = (token: string, name: string): string => {
    const path = join(folder, `${name}.kubeconfig`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority': caFile } }],
      users: [{ name, user: { token } }],
      contexts: [{ name, context: { cluster: 'test', user: name } }],
      'current-context': name,
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  };
  const api = (method: string, path: string, body?: unknown): Promise<unknown> =>
    ask(local + path, method, readFileSync(caFile, 'utf8'), body);
  const ready = async (child: ChildProcess): Promise<void> => {
    let last: unknown;
    for (const end = Date.now() + READY_TIMEOUT_MS; Date.now() < end; await sleep(100)) {
      if (child.exitCode !== null) break;
      try {
        return void (await api('GET', '/readyz'));
      } catch (error) {
        last = error;
      }
    }
    const log = readFileSync(join(folder, 'kube-apiserver.log'), 'utf8').slice(-3000);
    throw new Error(`kube-apiserver is not ready: ${(last as Error)?.message}\n${log}`);
  };
  let apiServer: ChildProcess | undefined;
  const plane: ControlPlane = {
    kubeconfig: kubeconfigFor(ADMIN, 'admin'),
    server,
    caFile,
    folder,
    kubeconfigFor,
    api,
    async apply(...objects) {
      for (const object of objects) await apply(api, object);
    },
    async stopApiServer() {
      if (apiServer) await end(apiServer);
      apiServer = undefined;
    },
    async startApiServer() {
      apiServer = run('kube-apiserver', [
        `--etcd-servers=http://127.0.0.1:${etcdPort}`,
        `--secure-port=${port}`,
        `--bind-address=${address === undefined ? '127.0.0.1' : '::'}`,
        '--advertise-address=127.0.0.1',
        `--tls-cert-file=${certFile}`,
        `--tls-private-key-file=${keyFile}`,
        `--token-auth-file=${join(folder, 'tokens.csv')}`,
        '--authorization-mode=RBAC',
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-key-file=${accountKey}`,
        `--service-account-signing-key-file=${accountKey}`,
        '--service-cluster-ip-range=10.255.0.0/24',
        // It would wait for controllers, which do not run here.
        '--disable-admission-plugins=ServiceAccount',
        '--allow-privileged=true',
        '--shutdown-delay-duration=0s',
      ]);
      await ready(apiServer);
    },
    async stop() {
      // An orderly end would wait for open watches, and nothing is kept.
      await Promise.all(running.map(end));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    const etcd = `http://127.0.0.1:${etcdPort}`;
    const peer = `http://127.0.0.1:${etcdPeerPort}`;
    run('etcd', [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
      '--log-level=error',
    ]);
    await plane.startApiServer();
  } catch (error) {
    await plane.stop();
    throw error;
  }
  return plane;
}

/** Makes a CA, and a certificate of it for 127.0.0.1 and the address. */
function certificate(
  folder: string,
  address: string | undefined,
): { readonly caFile: string; readonly certFile: string; readonly keyFile: string } {
  const [caFile, caKey, certFile, keyFile] = ['ca.crt', 'ca.key', 'server.crt', 'server.key'].map(name =>
    join(folder, name),
  ) as [string, string, string, string];
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-keyout', caKey, '-out', caFile, '-subj', '/CN=test-ca');
  const more = address === undefined ? '' : `,IP:${address}`;
  const names = `subjectAltName=IP:127.0.0.1${more},DNS:localhost,DNS:kubernetes.default.svc`;
  const by = ['-CA', caFile, '-CAkey', caKey, '-addext', names, '-addext', 'basicConstraints=critical,CA:FALSE'];
  openssl('req', '-x509', ...key, ...by, '-keyout', keyFile, '-out', certFile, '-subj', '/CN=kube-apiserver');
  return { caFile, certFile, keyFile };
}

async function apply(api: ControlPlane['api'], object: Manifest): Promise<void> {
  const { apiVersion, kind, metadata } = object;
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  // Every kind that the tests use forms its plural like this.
  const plural = kind
    .toLowerCase()
    .replace(/y$/, 'ie')
    .concat(kind.endsWith('s') ? 'es' : 's');
  const path = `${base}${metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`}/${plural}`;
  const one = `${path}/${metadata.name}`;
  try {
    await api('POST', path, object);
  } catch (error) {
    if ((error as { status?: number }).status !== 409) throw error;
    const old = (await api('GET', one)) as Manifest;
    await api('PUT', one, { ...object, metadata: { ...metadata, resourceVersion: old.metadata['resourceVersion'] } });
  }
  // The status of a Node or a Pod needs a separate request.
  if (object['status'] !== undefined) await api('PATCH', `${one}/status`, { status: object['status'] });
  if (kind === 'CustomResourceDefinition') await served(api, object);
}

async function served(api: ControlPlane['api'], { spec }: Manifest): Promise<void> {
  const { group, versions, names } = spec as { group: string; versions: { name: string }[]; names: { plural: string } };
  for (const end = Date.now() + READY_TIMEOUT_MS; ; await sleep(50)) {
    try {
      return void (await api('GET', `/apis/${group}/${versions[0]!.name}/${names.plural}`));
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

async function ask(url: string, method: string, ca: string, body?: unknown): Promise<unknown> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': type };
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method, ca, headers, timeout: HANG_MS, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on('data', chunk => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const status = response.statusCode!;
        if (status >= 400)
          reject(Object.assign(new Error(`${method} ${url}: ${status} ${text.slice(0, 500)}`), { status }));
        else resolve(text.startsWith('{') ? JSON.parse(text) : text);
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer`)));
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

const sleep = (milliseconds: number): Promise<void> => new Promise(resolve => setTimeout(resolve, milliseconds));
