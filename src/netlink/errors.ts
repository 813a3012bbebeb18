/**
 * The two errors of netlink. NetlinkError: the kernel refused a request. MalformedNetlink: received
 * bytes cannot be parsed.
 */
import { ERRNO_NAMES, ERRNO_TEXTS } from './errno.ts';

export interface NetlinkRefusal {
  /** The kernel's explanation, if it gave one. */
  readonly detail?: string | undefined;
  /** The offset in bytes of the faulty part within the request. */
  readonly offset?: number | undefined;
}

export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /** The operation and its object: `adding address 10.0.0.1/24 to wg0`. */
  readonly attempted: string;
  /** The errno, positive as in errno.h. */
  readonly errno: number;
  /** `EEXIST`, or `errno 999` if the number has no name. */
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

/** Reports whether an error is a refusal by the kernel with one of the given codes. */
export function isRefusal(error: unknown, ...codes: readonly string[]): error is NetlinkError {
  return error instanceof NetlinkError && codes.includes(error.code);
}

/** The received bytes are not valid netlink, or not of the requested kind. */
export class MalformedNetlink extends Error {
  override readonly name = 'MalformedNetlink';
}
