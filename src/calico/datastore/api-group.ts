/** In which group Calico keeps its objects (calico-wireguard 2.4). */
import { codedError } from '../../base/coded-error.ts';
import { quoted } from '../model/problem.ts';
import type { ApiConnection } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import { CALICO_GROUPS, type CalicoGroup } from './kinds.ts';
import { isFields } from './parse/reader.ts';

export class ApiGroup {
  readonly #connection: ApiConnection;
  readonly #told: CalicoGroup | undefined;
  #found: Promise<CalicoGroup | undefined> | undefined;

  /** @throws EINVAL for a CALICO_API_GROUP that is none */
  constructor(connection: ApiConnection, env: Readonly<Record<string, string | undefined>>) {
    this.#connection = connection;
    this.#told = toldBy(env['CALICO_API_GROUP']);
  }

  /** Undefined while the server has neither. Rejects as a request does. */
  async find(): Promise<CalicoGroup | undefined> {
    if (this.#told) return this.#told;
    this.#found ??= this.#discover();
    try {
      const found = await this.#found;
      if (!found) this.forget();
      return found;
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** What was found is not there any more. */
  forget(): void {
    this.#found = undefined;
  }

  /** v3 only where it is alone: beside the other it is a server in front of the same objects. */
  async #discover(): Promise<CalicoGroup | undefined> {
    let answer: unknown;
    try {
      answer = await this.#connection.request({ method: 'GET', path: '/apis' });
    } catch (error) {
      // who may not ask tries the usual one
      if (error instanceof ApiError && error.status === 403) return CALICO_GROUPS[0];
      throw error;
    }
    const groups = isFields(answer) && Array.isArray(answer['groups']) ? (answer['groups'] as readonly unknown[]) : [];
    const names = groups.map(group => (isFields(group) ? group['name'] : undefined));
    return CALICO_GROUPS.find(group => names.includes(group.split('/')[0]));
  }
}

function toldBy(value: string | undefined): CalicoGroup | undefined {
  if (value === undefined || value === '') return undefined;
  const found = CALICO_GROUPS.find(group => group === value || group.split('/')[0] === value);
  if (found) return found;
  throw codedError('EINVAL', `CALICO_API_GROUP is ${quoted(value)}, but must be ${CALICO_GROUPS.join(' or ')}`);
}
