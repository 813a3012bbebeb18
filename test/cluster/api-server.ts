/**
 * A real kube-apiserver with its etcd, for a file of tests: RBAC and admission as in a cluster, nodes and controllers aside. The programs are those
 * of KUBEBUILDER_ASSETS or of the cache folder; both end with the tests.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubectlProgram } from './kubectl.ts';

const START_LIMIT = 60_000;

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export class ApiServer {
  readonly folder: string;
  readonly kubeconfig: string;
  #url = '';
  readonly #children: ChildProcess[] = [];
  readonly #kubectl = kubectlProgram();

  private constructor(folder: string) {
    this.folder = folder;
    this.kubeconfig = join(folder, 'kubeconfig');
  }

  static async start(): Promise<ApiServer> {
    const server = new ApiServer(mkdtempSync(join(tmpdir(), 'wgts-api-')));
    try {
      await server.#start();
      return server;
    } catch (error) {
      const log = join(server.folder, 'kube-apiserver.log');
      const tail = existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-15).join('\n') : '';
      await server.stop();
      throw new Error(`the API server did not start: ${(error as Error).message}\n${tail}`);
    }
  }

  /** kubectl with these arguments, as the administrator or with a token. */
  kubectl(args: readonly string[], { input = '', token }: { input?: string; token?: string } = {}): Ran {
    return this.#run(this.#kubectl, token === undefined ? args : [`--token=${token}`, ...args], input);
  }

  /** A piece of shell, as in the guide, with kubectl and wgts on its PATH. */
  shell(text: string, cwd: string, path: string): Ran {
    return this.#run(
      'bash',
      ['--norc', '-euo', 'pipefail', '-c', text],
      '',
      cwd,
      `${join(this.#kubectl, '..')}:${path}`,
    );
  }

  /** One request with a token and no question before it, as the agent makes it: the answer's code, and its words. */
  patch(path: string, body: object, token: string): Promise<{ code: number | undefined; says: string }> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/merge-patch+json' };
    return new Promise((resolve, reject) => {
      const target = new URL(path, this.#url);
      const asked = request(
        target,
        { method: 'PATCH', headers, rejectUnauthorized: false, timeout: 10_000 },
        answer => {
          let text = '';
          answer.setEncoding('utf8').on('data', part => {
            text += part;
          });
          answer.on('end', () =>
            resolve({ code: answer.statusCode, says: (JSON.parse(text) as { message?: string }).message ?? '' }),
          );
        },
      );
      asked.on('error', reject).end(JSON.stringify(body));
    });
  }

  /** What kubectl prints. @throws Error with its words where it fails */
  ask(args: readonly string[], input = ''): string {
    const { status, out, err } = this.kubectl(args, { input });
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err}`);
    return out;
  }

  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) {
      const gone = new Promise(resolve => child.once('exit', resolve));
      if (child.exitCode !== null || child.signalCode !== null || !child.kill('SIGKILL')) continue;
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const [client, peer, port] = await freePorts(3);
    const store = `http://127.0.0.1:${client}`;
    const own = `http://127.0.0.1:${peer}`;
    this.#spawn('etcd', [
      ...['--data-dir', join(this.folder, 'etcd'), '--unsafe-no-fsync', '--listen-client-urls', store],
      ...['--advertise-client-urls', store, '--listen-peer-urls', own],
      ...['--initial-advertise-peer-urls', own, '--initial-cluster', `default=${own}`],
    ]);
    const key = join(this.folder, 'service-accounts.pem');
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(key, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(join(this.folder, 'tokens'), 'administrator,administrator,1,system:masters\n');
    this.#spawn('kube-apiserver', [
      ...['--etcd-servers', store, '--bind-address', '127.0.0.1', '--secure-port', String(port)],
      ...['--cert-dir', join(this.folder, 'certificates'), '--service-cluster-ip-range', '10.96.0.0/24'],
      ...['--authorization-mode', 'RBAC', '--token-auth-file', join(this.folder, 'tokens')],
      ...['--service-account-issuer', 'https://kubernetes.default', '--service-account-key-file', key],
      ...['--service-account-signing-key-file', key, '--allow-privileged'],
    ]);
    this.#url = `https://127.0.0.1:${port}`;
    writeFileSync(this.kubeconfig, kubeconfig(this.#url));
    const until = Date.now() + START_LIMIT;
    for (;;) {
      const { status, err } = this.kubectl(['get', '--raw', '/readyz']);
      // system namespaces and priority classes come a moment after
      if (status === 0 && this.kubectl(['get', 'namespace/default', 'namespace/kube-system']).status === 0) return;
      const dead = this.#children.find(({ exitCode }) => exitCode !== null);
      if (dead || Date.now() > until) throw new Error(dead ? `${dead.spawnfile} ended` : err);
      await new Promise(resolve => setTimeout(resolve, 200));
    }
  }

  #spawn(name: string, args: readonly string[]): void {
    const log = createWriteStream(join(this.folder, `${name}.log`));
    const child = spawn(assetsProgram(name), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    // a test run that is broken off leaves nobody behind
    process.once('exit', () => child.kill('SIGKILL'));
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#children.push(child);
  }

  #run(program: string, args: readonly string[], input: string, cwd = this.folder, path = ''): Ran {
    const home = join(this.folder, 'home');
    mkdirSync(join(home, '.kube'), { recursive: true });
    if (existsSync(this.kubeconfig)) writeFileSync(join(home, '.kube/config'), readFileSync(this.kubeconfig));
    const { status, stdout, stderr, error } = spawnSync(program, args, {
      input,
      cwd,
      encoding: 'utf8',
      timeout: 60_000,
      env: { PATH: `${path}:${process.env['PATH']}`, HOME: home, KUBECONFIG: this.kubeconfig },
    });
    if (error) throw error;
    return { status, out: stdout, err: stderr };
  }
}

function assetsProgram(name: string): string {
  const folder =
    process.env['KUBEBUILDER_ASSETS'] ??
    join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kube-assets');
  const path = join(folder, name);
  if (!existsSync(path)) throw new Error(`${path} is missing: set KUBEBUILDER_ASSETS to where ${name} is`);
  return path;
}

function kubeconfig(url: string): string {
  return `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "${url}", insecure-skip-tls-verify: true}}]
users: [{name: administrator, user: {token: administrator}}]
contexts: [{name: test, context: {cluster: test, user: administrator}}]
`;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>(resolve => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
