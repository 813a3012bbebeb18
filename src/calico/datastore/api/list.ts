/** All objects of a kind, page by page. */

import { isFields } from '../parse/reader.ts';
import type { ApiConnection } from './connection.ts';
import { isExpired } from './error.ts';

export interface ApiList {
  readonly objects: readonly unknown[];
  /** Where a watch goes on. */
  readonly version: string;
}

const PAGE = 500;

/** Rejects as a request does, and for an answer that is no list. */
export async function listAll(connection: ApiConnection, path: string, signal: AbortSignal): Promise<ApiList> {
  const objects: unknown[] = [];
  let query: Readonly<Record<string, string>> = { limit: String(PAGE) };
  for (;;) {
    let page: unknown;
    try {
      page = await connection.request({ method: 'GET', path, query, signal });
    } catch (error) {
      // the pages are of a state that the server has forgotten meanwhile: then all of them at once
      if (!isExpired(error) || query['continue'] === undefined) throw error;
      objects.length = 0;
      query = {};
      continue;
    }
    const { items, metadata } = isFields(page) ? page : {};
    const { resourceVersion, continue: next } = isFields(metadata) ? metadata : {};
    if (!Array.isArray(items) || typeof resourceVersion !== 'string')
      throw new Error(`GET ${path}: the answer is no list`);
    for (const item of items as unknown[]) objects.push(item);
    if (typeof next === 'string' && next !== '') query = { limit: String(PAGE), continue: next };
    else return { objects, version: resourceVersion };
  }
}
