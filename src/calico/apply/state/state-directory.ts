/**
 * The directory for the agent's persistent state: keys and records. Only the user that runs the
 * agent may read it (0700, files 0600). Files are written atomically, so that a crash never leaves
 * a partial file.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { newSecret } from '../../../base/bytes.ts';
import { codedError } from '../../../base/coded-error.ts';

const [FOLDER_MODE, FILE_MODE, OTHERS] = [0o700, 0o600, 0o077];
const LARGEST_FILE_BYTES = 1 << 20;
const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;

export class StateDirectory {
  readonly path: string;
  readonly #warn: (text: string) => void;

  /**
   * Creates the directory if it does not exist.
   * @param warn receives a warning for a directory with files and for each file that other users
   * could access
   * @throws Error that names the path
   */
  constructor(path: string, warn: (text: string) => void) {
    this.path = path;
    this.#warn = warn;
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    const stats = lstatSync(path);
    if (!stats.isDirectory())
      throw codedError('ENOTDIR', `${path} is not a directory; choose another path or remove this file`);
    mustBeOurs(stats, path);
    if ((stats.mode & OTHERS) === 0) return;
    chmodSync(path, FOLDER_MODE);
    // The kubelet makes the folder of a new node with mode 0755. Only files can have been read.
    if (readdirSync(path).length === 0) return;
    warn(`${path} was accessible to other users (mode ${octal(stats)}); it is 0700 now`);
  }

  pathOf(name: string): string {
    return join(this.path, name);
  }

  /**
   * Reads a file. The caller erases secrets.
   * @param largest the most bytes that this program writes to the file
   * @returns undefined if the file does not exist
   * @throws Error that names the path
   */
  read(name: string, largest = LARGEST_FILE_BYTES): Uint8Array | undefined {
    const path = this.pathOf(name);
    let file: number;
    try {
      file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      if (code === 'ELOOP') throw codedError('ELOOP', `${path} is a symbolic link: put the file itself there`);
      throw error;
    }
    try {
      const stats = fstatSync(file);
      if (!stats.isFile() || stats.size > largest)
        throw codedError('EINVAL', `${path} is not a file that this program wrote: check what it is, then remove it`);
      mustBeOurs(stats, path);
      if ((stats.mode & OTHERS) !== 0) {
        fchmodSync(file, FILE_MODE);
        this.#warn(
          `${path} could be read by other users (mode ${octal(stats)}); it is 0600 now. If another user may have read it, delete the file; the agent then creates a new one`,
        );
      }
      const bytes = newSecret(stats.size);
      let length = 0;
      for (let more = -1; length < bytes.length && more !== 0; length += more)
        more = readSync(file, bytes, length, bytes.length - length, null);
      return bytes.subarray(0, length);
    } finally {
      closeSync(file);
    }
  }

  /** Replaces a file atomically. The new content is on disk when this method returns. */
  write(name: string, bytes: Uint8Array): void {
    const path = this.pathOf(name);
    const draft = `${path}.new`;
    // A process that crashed may have left a draft.
    rmSync(draft, { force: true });
    const file = openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
    this.#flush();
  }

  /** Removes files. Absent ones are skipped. */
  remove(...names: readonly string[]): void {
    for (const name of names) rmSync(this.pathOf(name), { force: true });
    this.#flush();
  }

  #flush(): void {
    const folder = openSync(this.path, O_RDONLY | O_DIRECTORY);
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}

function mustBeOurs({ uid }: Stats, path: string): void {
  const own = process.geteuid?.();
  if (own !== undefined && uid !== own)
    throw codedError(
      'EACCES',
      `${path} is owned by user ${uid}, who could change it, but this program runs as user ${own}: chown it to user ${own}, or choose another directory`,
    );
}

function octal({ mode }: Stats): string {
  return `0${(mode & 0o7777).toString(8)}`;
}
