/**
 * Lists all objects of a kind. In a large cluster the API server answers from its memory, its watch
 * cache, rather than from etcd: a thousand agents that start together would read each object a
 * thousand times there. So the list first asks etcd for a few objects, which also says how recent
 * the answer must be, and then asks for everything that is at least as recent. An agent never sees
 * an older state than etcd's, as it could with `resourceVersion=0`: if WireGuard was off in that
 * state, it would take its tunnel down.
 *
 * A server whose cache lags refuses, and so may a server that is old. Then the list reads page by
 * page from etcd.
 */
import { isFields } from '../parse/reader.ts';
import type { ApiConnection } from './connection.ts';
import { ApiError, isExpired } from './error.ts';

export interface ApiList<T> {
  readonly objects: readonly T[];
  /** The resourceVersion from which a watch continues. */
  readonly version: string;
}

interface Page<T> extends ApiList<T> {
  /** Where the next page continues. */
  readonly next: string | undefined;
}

type Query = Readonly<Record<string, string>>;

/** Objects of the first request. Most kinds have no more. */
const FIRST_SIZE = 10;
const PAGE_SIZE = 500;

export interface ListRequest<T> {
  readonly path: string;
  /** Converts each object as it arrives. Only the results are kept in memory. */
  readonly convert: (object: unknown) => T;
  readonly signal: AbortSignal;
}

/** Lists the objects. Rejects with the error of a failed request, or if an answer is not a list. */
export async function listAll<T>(connection: ApiConnection, request: ListRequest<T>): Promise<ApiList<T>> {
  const first = await readPage(connection, request, { limit: String(FIRST_SIZE) });
  if (first.next === undefined) return first;
  try {
    const query = { resourceVersion: first.version, resourceVersionMatch: 'NotOlderThan' };
    const cached = await readPage(connection, request, query);
    if (cached.next === undefined) return cached;
  } catch (error) {
    if (!(error instanceof ApiError) || [401, 403, 404, 429].includes(error.status)) throw error;
  }
  return listPages(connection, request);
}

async function listPages<T>(connection: ApiConnection, request: ListRequest<T>): Promise<ApiList<T>> {
  const objects: T[] = [];
  let query: Query = { limit: String(PAGE_SIZE) };
  for (;;) {
    let page: Page<T>;
    try {
      page = await readPage(connection, request, query);
    } catch (error) {
      // The server no longer has the version of the earlier pages: list everything in one request.
      if (!isExpired(error) || query['continue'] === undefined) throw error;
      objects.length = 0;
      query = {};
      continue;
    }
    for (const object of page.objects) objects.push(object);
    if (page.next === undefined) return { objects, version: page.version };
    query = { limit: String(PAGE_SIZE), continue: page.next };
  }
}

async function readPage<T>(
  connection: ApiConnection,
  { path, convert, signal }: ListRequest<T>,
  query: Query,
): Promise<Page<T>> {
  const objects: T[] = [];
  const onItem = (item: unknown): void => void objects.push(convert(item));
  const list = await connection.list({ method: 'GET', path, query, signal }, onItem);
  const { items, metadata } = isFields(list) ? list : {};
  const { resourceVersion, continue: next } = isFields(metadata) ? metadata : {};
  if (!Array.isArray(items) || typeof resourceVersion !== 'string')
    throw new Error(`GET ${path}: the answer is not a list`);
  return { objects, version: resourceVersion, next: typeof next === 'string' && next !== '' ? next : undefined };
}
