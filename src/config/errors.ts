/**
 * ConfigError, the only error class of src/config, its codes, and quoting that makes untrusted text
 * safe to print. A ConfigError has the errno of a UAPI answer: EPROTO for a line that is not
 * `key=value`, EINVAL for a key or value that is not accepted, as in wireguard-go (device/uapi.go).
 */

/** The kind of mistake that a {@link ConfigError} reports. Stable, for programs. */
export type ConfigErrorCode =
  /** The text does not have the form that the format requires. */
  | 'syntax'
  /** An unknown key. */
  | 'unknown-key'
  /** A known key with an invalid value. */
  | 'bad-value'
  /** Something required is absent. */
  | 'missing'
  /** A line is longer than any legal one. */
  | 'line-too-long'
  /** The text is larger than this program accepts into memory. */
  | 'too-large'
  /** The other side closed the connection in the middle of a message. */
  | 'incomplete'
  /** The device answered with an errno (see `errno`). */
  | 'refused';

/** The place of a {@link ConfigError}, as far as it is known. */
export interface ConfigErrorPlace {
  /** Name of the file, for people. */
  readonly file?: string | undefined;
  /** Counted from 1. */
  readonly line?: number | undefined;
  /** The invalid text as given. Never set if it may be a secret. */
  readonly value?: string | undefined;
  /** The errno, positive; if absent, the code determines it. */
  readonly errno?: number | undefined;
}

/**
 * A text or a value of a configuration that cannot be used. `message` is for people: it names the
 * place and the value, and says what to write instead. `code` is stable and for programs. `errno`
 * is what a UAPI client receives, as from wireguard-go (device/uapi.go).
 */
export class ConfigError extends Error {
  /** Always `ConfigError`. */
  override readonly name = 'ConfigError';
  /** The kind of mistake. */
  readonly code: ConfigErrorCode;
  /** Name of the file, if the text came from a file. */
  readonly file: string | undefined;
  /** Number of the line, counted from 1. */
  readonly line: number | undefined;
  /** The invalid text. Absent if it may be a secret. */
  readonly value: string | undefined;
  /** Positive, as in errno.h. On the UAPI wire it is negative. */
  readonly errno: number;
  /** The message without its place. */
  readonly reason: string;

  /**
   * Makes an error whose message begins with `place`. A `value` that looks like a key is dropped.
   */
  constructor(code: ConfigErrorCode, reason: string, place: ConfigErrorPlace = {}) {
    super(`${placeText(place)}${reason}`);
    this.code = code;
    this.reason = reason;
    this.file = place.file;
    this.line = place.line;
    this.value = place.value !== undefined && LIKE_A_KEY.test(place.value) ? undefined : place.value;
    this.errno = place.errno ?? ERRNO_OF_CODE[code];
  }

  /**
   * Returns the same error with additional fields of its place. Fields of `place` replace existing
   * ones.
   */
  at(place: ConfigErrorPlace): ConfigError {
    return new ConfigError(this.code, this.reason, {
      file: place.file ?? this.file,
      line: place.line ?? this.line,
      value: place.value ?? this.value,
      errno: place.errno ?? this.errno,
    });
  }
}

/**
 * Makes untrusted text safe to print: quoted, invisible characters escaped, cut after 64
 * characters. Text that may contain a key is described, not printed.
 */
export function quote(text: string): string {
  if (LIKE_A_KEY.test(text)) return `a text of ${text.length} characters with what looks like a key`;
  const cut = text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}...` : text;
  return `\`${cut.replace(/[^ \p{L}\p{M}\p{N}\p{P}\p{S}]/gu, c => `\\x${(c.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`)}'`;
}

/**
 * Returns a hint about quotes or comment signs that are used in other formats. The hint ends in `;
 * `. Returns an empty string if there is no such sign.
 */
export function habitHint(text: string): string {
  if (/^["'].*["']$/.test(text)) return 'take the quotes away; ';
  return /;|\s\/\//.test(text) ? 'neither ; nor // begins a comment, but # does; ' : '';
}

/**
 * Returns the part of an unknown line that is safe to print: the text before its `=`, if that is as
 * short as a key name. A longer text may be a misplaced secret.
 */
export function quoteKey(line: string): string {
  const key = line.split('=')[0]!;
  return key.length <= LONGEST_KEY ? quote(key) : `a line of ${line.length} characters`;
}

const LONGEST_KEY = 24;
/** Matches hexadecimal or base64. A misplaced secret must not reach a log. */
const LIKE_A_KEY = /[0-9a-fA-F]{60}|[A-Za-z0-9+/]{42}/;
const QUOTED_MAX = 64;

/** The Linux errno values that the control interface uses. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  ENOMEM: 12,
  EACCES: 13,
  ENODEV: 19,
  EINVAL: 22,
  EPROTO: 71,
  EMSGSIZE: 90,
  ENOTSUP: 95,
  EADDRINUSE: 98,
  ETIMEDOUT: 110,
} as const;

const ERRNO_OF_CODE: Readonly<Record<ConfigErrorCode, number>> = {
  syntax: ERRNO.EPROTO,
  'unknown-key': ERRNO.EINVAL,
  'bad-value': ERRNO.EINVAL,
  missing: ERRNO.EINVAL,
  'line-too-long': ERRNO.EMSGSIZE,
  'too-large': ERRNO.E2BIG,
  incomplete: ERRNO.EPROTO,
  refused: ERRNO.EIO,
};

function placeText(place: ConfigErrorPlace): string {
  if (place.file !== undefined) return place.line === undefined ? `${place.file}: ` : `${place.file}:${place.line}: `;
  return place.line === undefined ? '' : `line ${place.line}: `;
}
