/** The lines at the end of a log file that another process writes. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes read at most, from the end: a log file has no bound of its own. */
const LONGEST_READ = 16 << 20;

export interface LogLines {
  /** Whole lines, without empty ones. */
  readonly lines: readonly string[];
  /** What stands behind the last line break: a line that is being written, or the last words of a process that died. */
  readonly rest: string;
  /** The offset in bytes behind the last line break: where to go on. */
  readonly end: number;
}

/**
 * Reads the lines of a file from an offset on. Of more than 16 MiB it reads the last, and leaves the line out that this cuts.
 * @param from a byte offset; beyond the end of the file there is nothing
 * @throws Error with `code`: ENOENT, or EACCES for a user who may not read it
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
