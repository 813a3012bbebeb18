/**
 * The agent's pod on a node: a PID namespace of its own, so that its device ends with it as with a
 * container. Pods of one node share its network and its /run, as with hostNetwork and host folders.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Result, type Running, run, start, until } from '../netns/command.ts';
import type { ClusterLab, LabNode } from './lab.ts';
import { nodeName } from './objects.ts';

const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
const CONTAINER = ['unshare', '--pid', '--mount', '--mount-proc', '--fork', '--kill-child', '--'];

export class AgentPod {
  readonly name: string;
  readonly #log: string;
  readonly #running: Running;
  /** The agent's process, from outside. */
  readonly #agent: number;

  private constructor(name: string, log: string, running: Running, agent: number) {
    this.name = name;
    this.#log = log;
    this.#running = running;
    this.#agent = agent;
  }

  /** @param more further options of the agent, and variables of its container */
  static async start(
    lab: ClusterLab,
    of: LabNode,
    name: string,
    more: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<AgentPod> {
    const log = lab.file(`agent-${of.index}-${name}.log`);
    const options = ['--node', nodeName(of.index), '--kubeconfig', lab.plane.kubeconfig, '--key-dir', lab.keys(of)];
    const argv = [...CONTAINER, process.execPath, WGTS, 'calico', ...options, ...(more.args ?? [])];
    const quiet = ['sh', '-c', `exec "$@" >>${log} 2>&1`, 'sh', ...argv];
    const running = start(lab.inside(of, quiet), {
      env: { NODENAME: nodeName(of.index), WGTS_LOG: 'none', ...more.env },
    });
    const agent = await until(`the pod ${name}`, () => {
      const children = readText(`/proc/${running.pid}/task/${running.pid}/children`);
      return Number(children.split(' ')[0]) || undefined;
    });
    return new AgentPod(name, log, running, agent);
  }

  /** Output of the agent so far. */
  log(): string {
    return readText(this.#log);
  }

  /** The pod's startup probe, as the kubelet runs it. */
  async hasStarted(): Promise<boolean> {
    return (await this.exec('calico', '--startup-probe')).code === 0;
  }

  /** Runs wgts in the container. */
  exec(...args: readonly string[]): Promise<Result> {
    const inside = ['nsenter', '-t', String(this.#agent), '-p', '-m', '-n', '--', process.execPath, WGTS];
    return run([...inside, ...args], { mayFail: true, env: { NODENAME: 'unused' } });
  }

  /** Ends the pod as the kubelet does, and waits until all its processes are gone. */
  async terminate(): Promise<void> {
    process.kill(this.#agent, 'SIGTERM');
    await this.#running.exited;
  }

  /** Kills all processes of the pod at once. */
  async kill(): Promise<void> {
    process.kill(this.#agent, 'SIGKILL');
    await this.#running.exited;
  }

  /** Waits until the pod ends by itself. @returns the exit status */
  async untilEnded(): Promise<number | null> {
    return (await this.#running.exited).code;
  }

  hasEnded(): boolean {
    return this.#running.result() !== undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
