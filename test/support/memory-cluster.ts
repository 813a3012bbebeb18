/** The API server of `wgts calico install` in memory: objects by path, and what was sent. */
import { codedError } from '../../src/base/coded-error.ts';
import type { ApiCall, ClusterApi } from '../../src/calico/install/cluster/api.ts';
import { copyOf, textField } from '../../src/calico/model/resource.ts';

export class MemoryCluster implements ClusterApi {
  readonly objects = new Map<string, Record<string, unknown>>();
  readonly sent: ApiCall[] = [];
  /** Paths that this user may not read. */
  readonly forbidden = new Set<string>();

  put(path: string, object: Record<string, unknown>): this {
    this.objects.set(path, object);
    return this;
  }

  async send(call: ApiCall): Promise<unknown> {
    this.sent.push(call);
    const { method, path, body } = call;
    if (this.forbidden.has(path)) throw codedError('EACCES', `${method} ${path}: 403 Forbidden`);
    if (path.endsWith('/selfsubjectaccessreviews')) return this.#review(body);
    const found = this.objects.get(path);
    if (method === 'GET') return copyOf(found ?? this.#list(call));
    if (method === 'DELETE') {
      if (!this.objects.delete(path)) throw absent(call);
      return {};
    }
    if (!found && call.patch !== 'apply') throw absent(call);
    this.objects.set(path, { ...found, ...(body as object) });
    return copyOf(this.objects.get(path));
  }

  #list(call: ApiCall): unknown {
    const below = `${call.path}/`;
    const [label, value] = (call.query?.['labelSelector'] ?? '').split('=') as [string, string?];
    const items = [...this.objects]
      .filter(([path]) => path.startsWith(below))
      .map(([, object]) => object)
      .filter(object => label === '' || textField(object, 'metadata', 'labels', label) === value);
    if (call.query?.['limit'] === undefined) throw absent(call);
    return { items };
  }

  #review(body: unknown): unknown {
    const { resourceAttributes } = (body as { spec: { resourceAttributes: { verb: string; resource: string } } }).spec;
    const allowed = !this.forbidden.has(`${resourceAttributes.verb} ${resourceAttributes.resource}`);
    return { status: { allowed } };
  }
}

function absent({ method, path }: ApiCall): Error {
  return codedError('ENOENT', `${method} ${path}: 404 NotFound`);
}
