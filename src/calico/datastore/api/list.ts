/**
 * Lists all objects of a kind, page by page and compressed. Each object is converted as it arrives,
 * so that neither side ever holds a whole list.
 *
 * The lists name no resourceVersion, so they are as recent as etcd. With `resourceVersion=0` an API
 * server that lags could answer with a state in which WireGuard was still off, and the agent would
 * take its tunnel down. Recent servers answer such pages from their memory. A whole list from there
 * (`resourceVersionMatch=NotOlderThan`) cost the server 200 MB for each agent that starts
 * (docs/performance.md).
 */
import { isFields } from '../parse/reader.ts';
import type { ApiConnection } from './connection.ts';
import { isExpired } from './error.ts';

export interface ApiList<T> {
  readonly objects: readonly T[];
  /** The resourceVersion from which a watch continues. */
  readonly version: string;
}

export interface ListRequest<T> {
  readonly path: string;
  /** Converts each object as it arrives. Only the results are kept in memory. */
  readonly convert: (object: unknown) => T;
  readonly signal: AbortSignal;
}

const PAGE_SIZE = 500;

/** Lists the objects. Rejects with the error of a failed request, or if an answer is not a list. */
export async function listAll<T>(
  connection: ApiConnection,
  { path, convert, signal }: ListRequest<T>,
): Promise<ApiList<T>> {
  const objects: T[] = [];
  let query: Readonly<Record<string, string>> = { limit: String(PAGE_SIZE) };
  for (;;) {
    let page: unknown;
    try {
      const onItem = (item: unknown): void => void objects.push(convert(item));
      page = await connection.list({ method: 'GET', path, query, signal }, onItem);
    } catch (error) {
      // The server no longer has the version of the earlier pages: list everything in one request.
      if (!isExpired(error) || query['continue'] === undefined) throw error;
      objects.length = 0;
      query = {};
      continue;
    }
    const { items, metadata } = isFields(page) ? page : {};
    const { resourceVersion, continue: next } = isFields(metadata) ? metadata : {};
    if (!Array.isArray(items) || typeof resourceVersion !== 'string')
      throw new Error(`GET ${path}: the answer is not a list`);
    if (typeof next === 'string' && next !== '') query = { limit: String(PAGE_SIZE), continue: next };
    else return { objects, version: resourceVersion };
  }
}
