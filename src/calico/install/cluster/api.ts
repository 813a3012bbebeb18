/** The port to the API server, for reading any object and for installing objects. */
import { field, listField, textField } from '../../model/resource.ts';

export interface ClusterApi {
  /**
   * Sends a request. @returns the answer's JSON
   * @throws Error with `code` ENOENT (absent), EACCES (not permitted), ESTALE (conflict), EEXIST,
   * EINVAL (refused) or EAGAIN (no answer)
   */
  send(call: ApiCall): Promise<unknown>;
}

export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The kind of a PATCH: a merge patch, a JSON patch, or server-side apply. */
  readonly patch?: 'merge' | 'json' | 'apply';
  /** Lists only the metadata of objects. */
  readonly metadataOnly?: boolean;
}

const PAGE = '500';
/** Ends a list whose pages never end. 10,000 nodes have 20 pages. */
const MOST_PAGES = 1_000;

/** Returns the code of an error; an empty text if it has none. */
export function codeOf(error: unknown): string {
  return textField(error, 'code') ?? '';
}

/** Reads an object. @returns undefined if it, or its kind, is absent */
export async function find(api: ClusterApi, path: string): Promise<unknown> {
  try {
    return await api.send({ method: 'GET', path });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Lists objects, in pages. @returns no object if the kind is absent */
export async function list(
  api: ClusterApi,
  path: string,
  { labelSelector, metadataOnly }: { readonly labelSelector?: string; readonly metadataOnly?: true } = {},
): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  let next: string | undefined = '';
  for (let page = 0; next !== undefined && page < MOST_PAGES; page++) {
    const query: Record<string, string> = { limit: PAGE };
    if (next !== '') query['continue'] = next;
    if (labelSelector !== undefined) query['labelSelector'] = labelSelector;
    const answer = await api
      .send({ method: 'GET', path, query, ...(metadataOnly && { metadataOnly }) })
      .catch(error => {
        if (codeOf(error) !== 'ENOENT') throw error;
        return undefined;
      });
    items.push(...listField(answer, 'items'));
    next = textField(field(answer, 'metadata'), 'continue') || undefined;
  }
  return items;
}
