/**
 * In-memory IPAM objects that behave as in an API server: each write changes the resourceVersion,
 * and a write over an older version is refused.
 */
import type { IpamKind, IpamObject, IpamPort } from '../../../../src/calico/publish/ipam/port.ts';

export class FakeIpam implements IpamPort {
  inGroup: 'v1' | 'v3' = 'v1';
  async group(): Promise<'v1' | 'v3'> {
    return this.inGroup;
  }
  readonly objects = new Map<string, IpamObject>();
  /** Called before each request; may change objects or throw. */
  before: ((verb: string, kind: IpamKind, name: string) => void | Promise<void>) | undefined;
  #version = 0;

  async list(kind: IpamKind): Promise<IpamObject[]> {
    await this.#call('list', kind, '');
    return [...this.objects].filter(([key]) => key.startsWith(`${kind}/`)).map(([, object]) => structuredClone(object));
  }

  async get(kind: IpamKind, name: string): Promise<IpamObject | undefined> {
    await this.#call('get', kind, name);
    const object = this.objects.get(`${kind}/${name}`);
    return object && structuredClone(object);
  }

  async create(kind: IpamKind, object: IpamObject): Promise<IpamObject> {
    await this.#call('create', kind, object.metadata.name);
    if (this.objects.has(`${kind}/${object.metadata.name}`)) throw conflict('already exists');
    return this.put(kind, object);
  }

  async replace(kind: IpamKind, object: IpamObject): Promise<IpamObject> {
    await this.#call('replace', kind, object.metadata.name);
    this.#mustBeCurrent(kind, object);
    return this.put(kind, object);
  }

  async remove(kind: IpamKind, object: IpamObject): Promise<void> {
    await this.#call('remove', kind, object.metadata.name);
    this.#mustBeCurrent(kind, object);
    this.objects.delete(`${kind}/${object.metadata.name}`);
  }

  /** Writes as another program. */
  put(kind: IpamKind, object: IpamObject): IpamObject {
    const kept = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.#version) },
    });
    this.objects.set(`${kind}/${object.metadata.name}`, kept);
    return structuredClone(kept);
  }

  pool(name: string, spec: Record<string, unknown>): void {
    this.put('IPPool', { metadata: { name }, spec });
  }

  specOf(kind: IpamKind, name: string): Record<string, unknown> | undefined {
    return this.objects.get(`${kind}/${name}`)?.spec;
  }

  names(kind: IpamKind): string[] {
    return [...this.objects.keys()].filter(key => key.startsWith(`${kind}/`)).map(key => key.slice(kind.length + 1));
  }

  async #call(verb: string, kind: IpamKind, name: string): Promise<void> {
    // Yield so that concurrent callers interleave.
    await new Promise(resolve => setImmediate(resolve));
    await this.before?.(verb, kind, name);
  }

  #mustBeCurrent(kind: IpamKind, { metadata }: IpamObject): void {
    const there = this.objects.get(`${kind}/${metadata.name}`);
    if (!there) throw Object.assign(new Error('not found'), { code: 'ENOENT' });
    if (there.metadata.resourceVersion !== metadata.resourceVersion) throw conflict('the object has been modified');
  }
}

export function conflict(message: string): Error {
  return Object.assign(new Error(message), { code: 'ESTALE' });
}
