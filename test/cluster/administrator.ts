/**
 * Runs kubectl and plain requests against a test's control plane, as administrator or with another
 * token.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { dirname, join } from 'node:path';
import { HANG_MS } from '../support/patience.ts';
import type { ControlPlane } from './control-plane.ts';
import { kubectlProgram } from './kubectl.ts';

const LIMIT = HANG_MS;

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export class Administrator {
  readonly #plane: ControlPlane;
  readonly #kubectl: string;
  readonly #home: string;

  static async of(plane: ControlPlane): Promise<Administrator> {
    return new Administrator(plane, await kubectlProgram());
  }

  private constructor(plane: ControlPlane, kubectl: string) {
    this.#plane = plane;
    this.#kubectl = kubectl;
    // The folder that the guide's own commands use.
    this.#home = join(plane.folder, 'home');
    mkdirSync(join(this.#home, '.kube'), { recursive: true });
    copyFileSync(plane.kubeconfig, join(this.#home, '.kube/config'));
  }

  kubectl(args: readonly string[], { input = '', token }: { input?: string; token?: string } = {}): Ran {
    const kubeconfig = token === undefined ? undefined : this.#plane.kubeconfigFor(token, 'token-user');
    return this.#run(this.#kubectl, args, { input, ...(kubeconfig && { env: { KUBECONFIG: kubeconfig } }) });
  }

  /** Runs shell commands of the guide, with kubectl and these folders on the PATH. */
  shell(text: string, cwd: string, path: string): Ran {
    const folders = [path, dirname(this.#kubectl), process.env['PATH']].join(':');
    return this.#run('bash', ['--norc', '-euo', 'pipefail', '-c', text], { cwd, env: { PATH: folders } });
  }

  /** Returns kubectl's output. @throws Error with its error text */
  ask(args: readonly string[], input = ''): string {
    const { status, out, err } = this.kubectl(args, { input });
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err}`);
    return out;
  }

  /** Sends one request with a token, like the agent. Returns status and text. */
  patch(path: string, body: object, token: string): Promise<{ code: number | undefined; says: string }> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/merge-patch+json' };
    const ca = readFileSync(this.#plane.caFile);
    return new Promise((resolve, reject) => {
      const target = new URL(path, this.#plane.server);
      const asked = request(target, { method: 'PATCH', headers, ca, agent: false, timeout: HANG_MS }, answer => {
        let text = '';
        answer.setEncoding('utf8').on('data', part => {
          text += part;
        });
        answer.on('end', () =>
          resolve({ code: answer.statusCode, says: (JSON.parse(text) as { message?: string }).message ?? '' }),
        );
      });
      asked.on('error', reject).end(JSON.stringify(body));
    });
  }

  #run(
    program: string,
    args: readonly string[],
    { input = '', cwd = this.#plane.folder, env = {} }: { input?: string; cwd?: string; env?: Record<string, string> },
  ): Ran {
    const { status, stdout, stderr, error } = spawnSync(program, args, {
      input,
      cwd,
      encoding: 'utf8',
      timeout: LIMIT,
      env: { PATH: process.env['PATH'], HOME: this.#home, ...env },
    });
    if (error) throw error;
    return { status, out: stdout, err: stderr };
  }
}
