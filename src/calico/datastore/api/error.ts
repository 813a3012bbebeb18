/** What an API server answers when it does not do what it is asked, and what to make of it. */
import { codedError } from '../../../base/coded-error.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import type { DatastoreErrorCode } from '../datastore.ts';
import { isFields } from '../parse/reader.ts';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Of HTTP. */
  readonly status: number;
  /** Kubernetes' word: AlreadyExists, Conflict, Expired. */
  readonly reason: string;
  /** Milliseconds that the server asks for. */
  readonly retryAfter: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/**
 * @param what was asked for: `GET /api/v1/nodes`
 * @param answer a Status, or text that may be one, or what a proxy says
 */
export function apiError(what: string, status: number, answer: unknown, retryAfterHeader?: string, now = 0): ApiError {
  const body = typeof answer === 'string' ? statusOf(answer) : answer;
  const fields = isFields(body) ? body : {};
  const reason = typeof fields['reason'] === 'string' ? fields['reason'] : '';
  const said = typeof fields['message'] === 'string' ? fields['message'] : typeof answer === 'string' ? answer : '';
  const details = isFields(fields['details']) ? fields['details']['retryAfterSeconds'] : undefined;
  const retryAfter = milliseconds(retryAfterHeader, now) ?? (typeof details === 'number' ? details * 1000 : undefined);
  const message = said === '' ? '' : `: ${said.length > 300 ? `${said.slice(0, 297)}...` : said}`;
  return new ApiError(status, reason, `${what}: ${status}${reason && ` ${reason}`}${message}`, retryAfter);
}

/** The server does not know the version any more. It says so also inside a watch that it has accepted. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 410 || error.reason === 'Expired');
}

/** As the Datastore's callers know it. */
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

/** Of a Retry-After: seconds, or a date. */
function milliseconds(header: string | undefined, now: number): number | undefined {
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

/** Text that ought to be JSON. */
export function parseJson(what: string, text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch {
    throw new Error(`${what}: the answer is no JSON, but ${quoted(text)}`);
  }
}

/** Why a kind cannot be read at present. */
export interface ReadFailure {
  /** Unix time, milliseconds. */
  readonly since: number;
  readonly message: string;
  /** Set if an operator must act; absent if the failure is expected to pass. */
  readonly problem?: Problem;
}
