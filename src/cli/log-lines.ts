/** Reads the last lines of a log file that another process writes. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Maximum number of bytes read from the end: a log file has no limit of its own. */
const LONGEST_READ = 16 << 20;

export interface LogLines {
  /** Complete lines, without empty ones. */
  readonly lines: readonly string[];
  /**
   * The text after the last line break: a line still being written, or the last words of a process
   * that died.
   */
  readonly rest: string;
  /** The offset in bytes after the last line break, at which to continue. */
  readonly end: number;
}

/**
 * Reads the lines of a file from an offset on. Of more than 16 MiB it reads the end, without the
 * line that the limit cuts.
 * @param from a byte offset; beyond the end of the file there is nothing to read
 * @throws Error with `code`: ENOENT, or EACCES for a user without the right to read it
 */
export function readLogLines(path: string, from = 0, longest = LONGEST_READ): LogLines {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const begin = Math.max(from, size - longest);
    const buffer = Buffer.alloc(Math.max(0, size - begin));
    const bytes = buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, begin));
    const first = begin > from ? bytes.indexOf('\n') + 1 : 0;
    const last = bytes.lastIndexOf('\n') + 1;
    return {
      lines: bytes
        .toString('utf8', first, Math.max(first, last))
        .split('\n')
        .filter(line => line !== ''),
      rest: bytes.toString('utf8', last),
      end: begin + last,
    };
  } finally {
    closeSync(fd);
  }
}
