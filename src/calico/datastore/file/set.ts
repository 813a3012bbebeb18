/**
 * Reads the files of a folder, or a single file, as documents. A file is read only after it has
 * stopped changing for a moment, because programs write in pieces and editors rename files. While a
 * file cannot be read or parsed, its last readable content stays in effect.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Problem } from '../../model/problem.ts';
import type { Yaml } from '../parse/exact-yaml.ts';
import { type Document, parseDocuments } from './documents.ts';

export interface FileState {
  readonly path: string;
  readonly documents: readonly Document[];
  readonly problem?: Problem;
}

/** A file is read when it has stayed unchanged for this long. */
const SETTLE_MS = 100;
const SCAN_INTERVAL_MS = 2000;

interface KnownFile extends FileState {
  /** The file's signature when it was read. */
  readonly signature: string;
}

export class FileSet {
  readonly #path: string;
  readonly #yaml: Yaml;
  readonly #onChange: () => void;
  readonly #known = new Map<string, KnownFile>();
  /** Files that differ from what was last read, and since when they have the current signature. */
  readonly #unsettled = new Map<string, { readonly signature: string; readonly since: number }>();
  #watcher: FSWatcher | undefined;
  #watchedFolder: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #scanning: Promise<void> | undefined;
  #isClosed = false;
  #failure: { readonly since: Date; readonly message: string } | undefined;
  #hasSynced = false;

  constructor(path: string, yaml: Yaml, onChange: () => void) {
    this.#path = path;
    this.#yaml = yaml;
    this.#onChange = onChange;
  }

  /** The files, sorted by name. */
  get files(): readonly FileState[] {
    return [...this.#known.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Whether all files have been read once. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Why the folder cannot be read, and since when; undefined while it can be read. */
  get stale(): string | undefined {
    return this.#failure && `${this.#failure.message} (since ${this.#failure.since.toISOString()})`;
  }

  start(): void {
    if (this.#timer === undefined && !this.#scanning) void this.scan();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
    await this.#scanning;
  }

  /** Reads files that have changed. Never rejects. */
  scan(): Promise<void> {
    clearTimeout(this.#timer);
    this.#scanning ??= this.#scan().finally(() => {
      this.#scanning = undefined;
      this.#scheduleScan(this.#unsettled.size > 0 ? SETTLE_MS : SCAN_INTERVAL_MS);
    });
    return this.#scanning;
  }

  /** Rereads a file that this program wrote, without the usual delay. */
  async onWritten(path: string): Promise<void> {
    const signature = await signatureOf(path);
    if (signature !== undefined) await this.#readFile(path, signature);
    this.#onChange();
  }

  /** Returns the files' real paths, so that symbolic links still work after a file is replaced. */
  async paths(): Promise<readonly string[]> {
    const real = await realpath(this.#path);
    if (!(await stat(real)).isDirectory()) return [real];
    const names = await readdir(real);
    return names.filter(name => /^[^.].*\.(ya?ml|json)$/i.test(name)).map(name => join(real, name));
  }

  async #scan(): Promise<void> {
    let paths: readonly string[];
    try {
      paths = await this.paths();
      this.#watchFolder(await realpath(this.#path), paths);
    } catch (error) {
      this.#failure ??= { since: new Date(), message: `${this.#path} cannot be read: ${(error as Error).message}` };
      return this.#onChange();
    }
    if (this.#isClosed) return;
    let changed = this.#failure !== undefined || !this.#hasSynced;
    this.#failure = undefined;
    for (const path of new Set([...paths, ...this.#known.keys()])) {
      const signature = paths.includes(path) ? await signatureOf(path) : undefined;
      if (signature === this.#known.get(path)?.signature) this.#unsettled.delete(path);
      else if (this.#isSettled(path, signature ?? '')) {
        this.#unsettled.delete(path);
        if (signature === undefined) this.#known.delete(path);
        else await this.#readFile(path, signature);
        changed = true;
      }
    }
    this.#hasSynced = true;
    if (changed && !this.#isClosed) this.#onChange();
  }

  /**
   * Returns whether the file has stopped changing. Always true before the first sync, when there is
   * no earlier content to protect.
   */
  #isSettled(path: string, signature: string): boolean {
    const seen = this.#unsettled.get(path);
    const now = performance.now();
    if (seen?.signature !== signature) this.#unsettled.set(path, { signature, since: now });
    else if (now - seen.since >= SETTLE_MS - 5) return true;
    return !this.#hasSynced;
  }

  async #readFile(path: string, signature: string): Promise<void> {
    const before = this.#known.get(path)?.documents ?? [];
    try {
      const text = await readFile(path, 'utf8');
      // A write during the read changes the signature, so the file is read again.
      this.#known.set(path, { path, signature, documents: parseDocuments(text, this.#yaml) });
    } catch (error) {
      const message = `${(error as Error).message}; its last readable content stays in effect`;
      const problem = { object: `File/${basename(path)}`, reason: 'InvalidFile', message };
      this.#known.set(path, { path, signature, documents: before, problem });
    }
  }

  /**
   * Watches the folder. If the limit of inotify watches is reached, or the file system does not
   * support inotify, only the periodic scan remains.
   */
  #watchFolder(real: string, paths: readonly string[]): void {
    const folder = paths.length === 1 && paths[0] === real ? dirname(real) : real;
    if (this.#watchedFolder === folder && this.#watcher) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watchedFolder = folder;
    if (this.#isClosed) return;
    try {
      const watcher = watch(folder, () => this.#scheduleScan(5));
      watcher.on('error', () => {
        watcher.close();
        this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }

  #scheduleScan(milliseconds: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.scan(), milliseconds);
  }
}

/** Returns a value that changes with every write; undefined if the file does not exist. */
async function signatureOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return undefined;
  }
}
