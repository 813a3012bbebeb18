/** What a person looks at on a node of the real cluster, and does to it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Result, until } from '../../netns/command.ts';
import { ROOT } from '../../support/repository.ts';
import type { RealCluster } from './cluster.ts';
import type { AgentPod } from './daemon-set.ts';
import type { Machine } from './machine.ts';

const DEVICE = 'tunl-wg.cali';
const WGTS = join(ROOT, 'dist/program/wgts.cjs');

export class Node {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Asks the agent's HTTP server. The status is 0 while nothing listens. */
  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const ask = `exec 3<>/dev/tcp/127.0.0.1/9096; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
    const { stdout } = await this.#machine.run(['bash', '-c', ask], { mayFail: true });
    const [head = '', body = ''] = stdout.split('\r\n\r\n');
    return { status: Number(head.split(' ')[1] ?? 0), body };
  }

  async untilReady(): Promise<void> {
    await until(
      `the agent of ${this.#machine.name} to be ready`,
      async () => (await this.get('/readyz')).status === 200,
    );
  }

  /** Prints the tunnel as `wg show` does on the host. */
  async show(): Promise<string> {
    return (await this.#machine.run(['wg', 'show', DEVICE])).stdout;
  }

  /** Returns the number of the tunnel's peers; undefined without a tunnel. */
  async peers(): Promise<number | undefined> {
    const { code, stdout } = await this.#machine.run(['wg', 'show', DEVICE, 'peers'], { mayFail: true });
    return code === 0 ? stdout.split('\n').length - 1 : undefined;
  }

  async links(): Promise<string> {
    return (await this.#machine.run(['ip', '-br', 'link'])).stdout;
  }

  /**
   * Makes the kernel end the agent for lack of memory: a process that joins its control group fills
   * a file in memory up to the limit, and the agent's next allocation exceeds it.
   */
  async exhaustMemory(pod: AgentPod): Promise<void> {
    const group = this.#groupOf(pod);
    const fill = `echo $$ >'${group}/cgroup.procs' && exec head -c 2G /dev/zero >/run/filled`;
    await this.#machine.run(['sh', '-c', fill], { mayFail: true });
    try {
      // An answer takes memory.
      await until('the end of the agent', async () => (await this.get('/metrics')).status === 0);
    } finally {
      await this.#machine.run(['rm', '/run/filled']);
    }
  }

  /** Returns the status of the container's first process, as the kernel reports it. */
  statusOf(pod: AgentPod): string {
    const processes = readFileSync(join(this.#groupOf(pod), 'cgroup.procs'), 'utf8')
      .trim()
      .split('\n');
    const statuses = processes.map(pid => readFileSync(`/proc/${pid}/status`, 'utf8'));
    const first = statuses.find(status => /^NSpid:.*\t1$/m.test(status));
    if (first === undefined) throw new Error(`${pod.metadata.name} has no process`);
    return first;
  }

  /** Runs what the guide says for a node whose agent was removed. */
  withdraw(cluster: RealCluster): Promise<Result> {
    const options = ['--kubeconfig', cluster.plane.kubeconfig, '--node', this.#machine.name];
    return this.#machine.run([process.execPath, WGTS, 'calico', '--withdraw', ...options], { mayFail: true });
  }

  /** Returns everything in the kernel and the file system that an agent made. */
  async leftovers(): Promise<readonly string[]> {
    const outputs = await Promise.all(
      [
        ['ip', '-br', 'link'],
        ['ip', 'rule'],
        ['ip', '-6', 'rule'],
        ['ip', 'route', 'show', 'table', 'all'],
        ['nft', 'list', 'tables'],
        ['ls', '/run/wireguard'],
      ].map(async argv => (await this.#machine.run(argv, { mayFail: true })).stdout),
    );
    return outputs.flatMap(text => text.split('\n')).filter(line => /tunl-wg|wireguard|51820|fwmark/.test(line));
  }

  #groupOf(pod: AgentPod): string {
    const [, id] = pod.status.containerStatuses![0]!.containerID.split('//');
    return this.#machine.controlGroupOf('memory', id!);
  }
}
