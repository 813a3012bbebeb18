/**
 * What netlink can answer badly with: NetlinkError, where the kernel refused something, and MalformedNetlink, where bytes are not
 * what they should be.
 */
import { ERRNO_NAMES, ERRNO_TEXTS } from './errno.ts';

export interface NetlinkRefusal {
  /** What the kernel said about it in words, where it said anything. */
  readonly detail?: string | undefined;
  /** Where in the request the kernel saw the cause, counted from the request's first byte. */
  readonly offset?: number | undefined;
}

export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** What was attempted on what: `adding address 10.0.0.1/24 to wg0`. */
  readonly attempted: string;
  /** Positive, as in errno.h. */
  readonly errno: number;
  /** `EEXIST`, or `errno 999` for what has no name. */
  readonly code: string;
  readonly detail: string | undefined;
  readonly offset: number | undefined;

  constructor(attempted: string, errno: number, { detail, offset }: NetlinkRefusal = {}) {
    const code = ERRNO_NAMES[errno] ?? `errno ${errno}`;
    const text = ERRNO_TEXTS[errno];
    super(`${attempted}: ${code}${text ? ` (${text})` : ''}${detail ? `: ${detail}` : ''}`);
    this.attempted = attempted;
    this.errno = errno;
    this.code = code;
    this.detail = detail;
    this.offset = offset;
  }
}

/** Whether an error is the kernel's refusal with one of these names. */
export function isRefusal(error: unknown, ...codes: readonly string[]): error is NetlinkError {
  return error instanceof NetlinkError && codes.includes(error.code);
}

/** Bytes that are not netlink's, or not of the kind that was asked for. */
export class MalformedNetlink extends Error {
  override readonly name = 'MalformedNetlink';
}
