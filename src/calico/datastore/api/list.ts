/** Lists all objects of a kind, page by page. */

import { isFields } from '../parse/reader.ts';
import { type ApiConnection, HugeAnswer } from './connection.ts';
import { isExpired } from './error.ts';

export interface ApiList {
  readonly objects: readonly unknown[];
  /** The resourceVersion from which a watch continues. */
  readonly version: string;
}

const PAGE_SIZE = 500;
/** etcd limits an object to 1.5 MB, so that a page of this size always has room in an answer. */
const SMALLEST_PAGE = 10;

/**
 * Lists the objects. Rejects with the error of a failed request, or if an answer is not a list.
 * @param slim returns what is kept of an object, so that only one page is held as it was sent
 */
export async function listAll(
  connection: ApiConnection,
  path: string,
  signal: AbortSignal,
  slim: (object: unknown) => unknown = object => object,
): Promise<ApiList> {
  const objects: unknown[] = [];
  let size = PAGE_SIZE;
  let query: Readonly<Record<string, string>> = { limit: String(size) };
  for (;;) {
    let page: unknown;
    try {
      page = await connection.request({ method: 'GET', path, query, signal });
    } catch (error) {
      if (error instanceof HugeAnswer && size > SMALLEST_PAGE) {
        size = Math.max(SMALLEST_PAGE, Math.floor(size / 5));
        query = { ...query, limit: String(size) };
        continue;
      }
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
    for (const item of items as unknown[]) objects.push(slim(item));
    if (typeof next === 'string' && next !== '') query = { limit: String(size), continue: next };
    else return { objects, version: resourceVersion };
  }
}
