/** Lists all objects of a kind, page by page. */

import { isFields } from '../parse/reader.ts';
import type { ApiConnection } from './connection.ts';
import { isExpired } from './error.ts';

export interface ApiList {
  readonly objects: readonly unknown[];
  /** The resourceVersion from which a watch continues. */
  readonly version: string;
}

const PAGE_SIZE = 500;

/** Lists the objects. Rejects with the error of a failed request, or if an answer is not a list. */
export async function listAll(connection: ApiConnection, path: string, signal: AbortSignal): Promise<ApiList> {
  const objects: unknown[] = [];
  let query: Readonly<Record<string, string>> = { limit: String(PAGE_SIZE) };
  for (;;) {
    let page: unknown;
    try {
      page = await connection.request({ method: 'GET', path, query, signal });
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
    for (const item of items as unknown[]) objects.push(item);
    if (typeof next === 'string' && next !== '') query = { limit: String(PAGE_SIZE), continue: next };
    else return { objects, version: resourceVersion };
  }
}
