/** Fills an API server with thousands of objects, over connections that stay open. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { Change, Generated, GeneratedKind } from '#dist/bench/calico/generated-cluster.js';
import type { ControlPlane } from './control-plane.ts';
import { GROUP } from './objects.ts';

const CONNECTIONS = 12;
const PATHS: Readonly<Record<GeneratedKind, string>> = {
  Node: '/api/v1/nodes',
  FelixConfiguration: `/apis/${GROUP}/felixconfigurations`,
  IPPool: `/apis/${GROUP}/ippools`,
  IPAMBlock: `/apis/${GROUP}/ipamblocks`,
};

export class Filling {
  readonly #plane: ControlPlane;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #ca: string;
  readonly #token: string;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
    this.#ca = readFileSync(plane.caFile, 'utf8');
    const { users } = JSON.parse(readFileSync(plane.kubeconfig, 'utf8')) as { users: { user: { token: string } }[] };
    this.#token = users[0]!.user.token;
  }

  /** Creates the objects. @returns their number */
  async create(objects: Iterable<Generated>): Promise<number> {
    const left = objects[Symbol.iterator]();
    let count = 0;
    const work = async (): Promise<void> => {
      for (let next = left.next(); !next.done; next = left.next()) {
        await this.#send('POST', PATHS[next.value.kind], stored(next.value.object));
        count++;
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, work));
    return count;
  }

  /** Writes a change. */
  async write({ kind, type, object, of }: Change): Promise<void> {
    const { name } = object['metadata'] as { name: string };
    const path = `${PATHS[kind]}/${name}`;
    if (type === 'delete') return void (await this.#send('DELETE', path));
    if (of === 'join') return void (await this.#send('POST', PATHS[kind], stored(object)));
    const { metadata, status, spec } = stored(object);
    const patched = kind === 'Node' ? { metadata, status } : { spec };
    await this.#send('PATCH', kind === 'Node' ? `${path}/status` : path, patched);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(method: string, path: string, body?: unknown): Promise<void> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${this.#token}`,
      ...(text !== undefined && {
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        'content-length': Buffer.byteLength(text),
      }),
    };
    await new Promise<void>((resolve, reject) => {
      const sent = request(this.#plane.server + path, { method, headers, ca: this.#ca, agent: this.#agent }, answer => {
        const chunks: Buffer[] = [];
        answer.on('data', chunk => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          if (answer.statusCode! < 400) resolve();
          else
            reject(
              new Error(`${method} ${path}: ${answer.statusCode} ${Buffer.concat(chunks).toString().slice(0, 300)}`),
            );
        });
      });
      sent.on('error', reject);
      sent.end(text);
    });
  }
}

/** Returns an object without the fields that the server itself writes. */
function stored(object: Generated['object']): Generated['object'] {
  const {
    uid: _,
    resourceVersion,
    creationTimestamp,
    generation,
    managedFields,
    ...metadata
  } = object['metadata'] as Record<string, unknown>;
  return { ...object, metadata };
}
