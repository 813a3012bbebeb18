/** Defines the errors of an API server and converts them to DatastoreErrorCode. */
import { codedError } from '../../../base/coded-error.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import type { DatastoreErrorCode } from '../datastore.ts';
import { isFields } from '../parse/reader.ts';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  /** Kubernetes' reason, such as AlreadyExists, Conflict or Expired. */
  readonly reason: string;
  /** The server's Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterMs?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Makes an ApiError from an answer.
 * @param what the name of the request, such as `GET /api/v1/nodes`
 * @param answer a Status object, its JSON, or other text, such as a proxy's error page
 */
export function apiError(what: string, status: number, answer: unknown, retryAfterHeader?: string, now = 0): ApiError {
  const body = typeof answer === 'string' ? statusOf(answer) : answer;
  const fields = isFields(body) ? body : {};
  const reason = typeof fields['reason'] === 'string' ? fields['reason'] : '';
  const detail = typeof fields['message'] === 'string' ? fields['message'] : typeof answer === 'string' ? answer : '';
  const details = isFields(fields['details']) ? fields['details']['retryAfterSeconds'] : undefined;
  const retryAfterMs =
    parseRetryAfter(retryAfterHeader, now) ?? (typeof details === 'number' ? details * 1000 : undefined);
  const message = detail === '' ? '' : `: ${detail.length > 300 ? `${detail.slice(0, 297)}...` : detail}`;
  return new ApiError(status, reason, `${what}: ${status}${reason && ` ${reason}`}${message}`, retryAfterMs);
}

/**
 * Returns whether the server no longer has the requested resourceVersion. The server may also
 * report this inside an open watch.
 */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 410 || error.reason === 'Expired');
}

/** Converts any error into an error with a DatastoreErrorCode. */
export function datastoreError(error: unknown): Error {
  if (!(error instanceof ApiError)) return codedError('EAGAIN', (error as Error).message);
  return codedError(codeOf(error), error.message);
}

function codeOf({ status, reason }: ApiError): DatastoreErrorCode {
  if (status === 404) return 'ENOENT';
  if (status === 409) return reason === 'AlreadyExists' ? 'EEXIST' : 'ESTALE';
  if (status === 401 || status === 403) return 'EACCES';
  return status === 429 || status >= 500 ? 'EAGAIN' : 'EINVAL';
}

/** Converts a Retry-After header, which holds seconds or a date, to milliseconds. */
function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,6}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function statusOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Parses JSON. @throws Error that names the request and quotes the text */
export function parseJson(what: string, text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch {
    throw new Error(`${what}: the answer is not JSON, but ${quoted(text)}`);
  }
}

/** Why a kind cannot be read at the moment. */
export interface ReadFailure {
  /** Unix time, milliseconds. */
  readonly since: number;
  readonly message: string;
  /** Set if an operator must act; absent if the failure will probably pass. */
  readonly problem?: Problem;
}
