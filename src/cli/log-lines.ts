/** Reads the last lines of a log file that another process writes. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Maximum number of bytes to read from the end, because a log file may be of any size. */
const LONGEST_READ = 16 << 20;

export interface LogLines {
  /** The complete lines, except empty ones. */
  readonly lines: readonly string[];
  /**
   * The text after the last line break: either a line that is still being written, or the last
   * output of a process that crashed.
   */
  readonly rest: string;
  /** The offset in bytes after the last line break. The next read continues there. */
  readonly end: number;
}

/**
 * Reads the lines of a file, beginning at an offset. If more than `longest` bytes follow, reads
 * only that many from the end and drops the first, incomplete line.
 * @param from an offset in bytes; beyond the end of the file, nothing is read
 * @throws Error with `code`: ENOENT, or EACCES if the user may not read the file
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
