/**
 * The control plane of the real cluster: etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler, as an administrator would run them, with RBAC, the node authoriser and every
 * admission plugin that is on by default. They run in the network namespace of the calling process.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, sleep } from '../../netns/command.ts';
import { HANG_MS } from '../../support/patience.ts';
import { Authority, makeAccountKey, writeKubeconfig } from './certificates.ts';
import type { Programs } from './programs.ts';
import { Server } from './server.ts';

const API_PORT = 6443;
const ETCD = 'http://127.0.0.1:2379';
const ETCD_PEER = 'http://127.0.0.1:2380';
/** Not routed: the cluster has no kube-proxy, and everything uses the server's own address. */
const SERVICES = '10.96.0.0/16';

export class ControlPlane {
  /** An administrator's kubeconfig. */
  readonly kubeconfig: string;
  readonly address: string;
  readonly port = API_PORT;
  readonly url: string;
  /** The bundle of authorities that clients trust. */
  readonly authorities: string;
  readonly folder: string;
  readonly authority: Authority;
  readonly #programs: Programs;
  readonly #etcd: Server;
  readonly #apiServer: Server;
  readonly #others: readonly Server[];

  /** @param address an address of this network namespace at which nodes reach the API server */
  constructor(programs: Programs, folder: string, address: string) {
    this.#programs = programs;
    this.folder = folder;
    this.address = address;
    mkdirSync(folder, { recursive: true });
    this.url = `https://${address}:${API_PORT}`;
    this.authority = new Authority(folder);
    this.authorities = this.authority.certificate;
    const client = (name: string, user: string, group?: string): string =>
      writeKubeconfig(
        join(folder, `${name}.kubeconfig`),
        this.url,
        this.authorities,
        this.authority.issueClient(name, user, group),
      );
    this.kubeconfig = client('admin', 'admin', 'system:masters');
    makeAccountKey(join(folder, 'accounts.key'));
    this.authority.issueClient('kubelet-client', 'kube-apiserver', 'system:masters');
    this.issueServerCertificate();
    this.#etcd = new Server('etcd', programs.server('etcd'), join(folder, 'etcd.log'), [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${ETCD}`,
      `--advertise-client-urls=${ETCD}`,
      `--listen-peer-urls=${ETCD_PEER}`,
      `--initial-advertise-peer-urls=${ETCD_PEER}`,
      `--initial-cluster=default=${ETCD_PEER}`,
      '--unsafe-no-fsync',
      '--log-level=error',
    ]);
    this.#apiServer = new Server('kube-apiserver', programs.server('kube-apiserver'), join(folder, 'api.log'), [
      `--etcd-servers=${ETCD}`,
      `--secure-port=${API_PORT}`,
      `--advertise-address=${address}`,
      `--tls-cert-file=${join(folder, 'server.crt')}`,
      `--tls-private-key-file=${join(folder, 'server.key')}`,
      `--client-ca-file=${this.authorities}`,
      `--kubelet-client-certificate=${join(folder, 'kubelet-client.crt')}`,
      `--kubelet-client-key=${join(folder, 'kubelet-client.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(folder, 'accounts.key')}`,
      `--service-account-signing-key-file=${join(folder, 'accounts.key')}`,
      `--service-cluster-ip-range=${SERVICES}`,
      '--allow-privileged=true',
      '--shutdown-delay-duration=0s',
    ]);
    const own = ['--leader-elect=false', '--bind-address=127.0.0.1'];
    const manager = client('kube-controller-manager', 'system:kube-controller-manager');
    const scheduler = client('kube-scheduler', 'system:kube-scheduler');
    this.#others = [
      new Server('kube-controller-manager', programs.server('kube-controller-manager'), join(folder, 'manager.log'), [
        ...own,
        `--kubeconfig=${manager}`,
        `--service-account-private-key-file=${join(folder, 'accounts.key')}`,
        `--root-ca-file=${this.authorities}`,
        `--cluster-signing-cert-file=${this.authority.certificate}`,
        `--cluster-signing-key-file=${this.authority.key}`,
        '--use-service-account-credentials=true',
      ]),
      new Server('kube-scheduler', programs.server('kube-scheduler'), join(folder, 'scheduler.log'), [
        ...own,
        `--kubeconfig=${scheduler}`,
      ]),
    ];
  }

  async start(): Promise<void> {
    this.#etcd.start();
    this.#apiServer.start();
    await this.untilReady();
    for (const server of this.#others) server.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#others, this.#apiServer].map(server => server.stop('SIGKILL')));
    await this.#etcd.stop('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Kills API server and etcd, like a lost machine; their data stays on the disk. */
  async lose(): Promise<void> {
    await this.#apiServer.stop('SIGKILL');
    await this.#etcd.stop('SIGKILL');
  }

  async recover(): Promise<void> {
    this.#etcd.start();
    this.#apiServer.start();
    await this.untilReady();
  }

  /** Signs tokens with a new key from now on. No token of a service account counts any more. */
  async renewAccountKey(): Promise<void> {
    makeAccountKey(join(this.folder, 'accounts.key'));
    await this.#apiServer.stop();
    this.#apiServer.start();
    await this.untilReady();
    for (const server of this.#others) {
      await server.stop();
      server.start();
    }
  }

  /** Gives the API server a new certificate, which it reads within seconds or when it starts. */
  issueServerCertificate(): void {
    const names = [`IP:${this.address}`, 'IP:127.0.0.1', 'IP:10.96.0.1', 'DNS:localhost', 'DNS:kubernetes.default.svc'];
    this.authority.issueServer('server', names);
  }

  /** Makes a kubeconfig for a kubelet. */
  kubeletKubeconfig(node: string): string {
    const identity = this.authority.issueClient(`kubelet-${node}`, `system:node:${node}`, 'system:nodes');
    return writeKubeconfig(join(this.folder, `${node}.kubeconfig`), this.url, this.authorities, identity);
  }

  async untilReady(): Promise<void> {
    const ask = ['--kubeconfig', this.kubeconfig, 'get', '--raw', '/readyz'];
    for (const end = Date.now() + HANG_MS; ; await sleep(200)) {
      const { code, stderr } = await run([this.#programs.kubectl, ...ask], { mayFail: true });
      if (code === 0) return;
      if (this.#apiServer.hasEnded() || Date.now() > end)
        throw new Error(`kube-apiserver is not ready: ${stderr}\n${this.log('api').slice(-3000)}`);
    }
  }

  /** @param name api, etcd, manager or scheduler */
  log(name: string): string {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8');
  }
}
