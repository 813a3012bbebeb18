/**
 * The files of a folder, or one file, as documents. A file is read when it has been quiet for a moment, as programs write in pieces and editors rename;
 * while it cannot be read or understood, what was in it last goes on to count.
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

/** Milliseconds. */
const QUIET = 100;
const BETWEEN_LOOKS = 2000;

interface Known extends FileState {
  /** Of what was read. */
  readonly signature: string;
}

export class FileSet {
  readonly #path: string;
  readonly #yaml: Yaml;
  readonly #changed: () => void;
  readonly #known = new Map<string, Known>();
  /** Files that are otherwise than they were read, and since when they are so. */
  readonly #unsettled = new Map<string, { readonly signature: string; readonly since: number }>();
  #watcher: FSWatcher | undefined;
  #watched: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;
  #failure: { readonly since: Date; readonly message: string } | undefined;
  #read = false;

  constructor(path: string, yaml: Yaml, changed: () => void) {
    this.#path = path;
    this.#yaml = yaml;
    this.#changed = changed;
  }

  /** In the order of their names. */
  get files(): readonly FileState[] {
    return [...this.#known.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Whether all were read once. */
  get read(): boolean {
    return this.#read;
  }

  /** Why the folder cannot be read, and since when. */
  get stale(): string | undefined {
    return this.#failure && `${this.#failure.message} (since ${this.#failure.since.toISOString()})`;
  }

  start(): void {
    if (this.#timer === undefined && !this.#looking) void this.look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
    await this.#looking;
  }

  /** Looks for changes. Never rejects. */
  look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      this.#lookIn(this.#unsettled.size > 0 ? QUIET : BETWEEN_LOOKS);
    });
    return this.#looking;
  }

  /** What this program wrote itself counts at once. */
  async wrote(path: string): Promise<void> {
    const signature = await signatureOf(path);
    if (signature !== undefined) await this.#readFile(path, signature);
    this.#changed();
  }

  /** Real paths, so that a link to a file stays one when the file is replaced. */
  async paths(): Promise<readonly string[]> {
    const real = await realpath(this.#path);
    if (!(await stat(real)).isDirectory()) return [real];
    const names = await readdir(real);
    return names.filter(name => /^[^.].*\.(ya?ml|json)$/i.test(name)).map(name => join(real, name));
  }

  async #look(): Promise<void> {
    let paths: readonly string[];
    try {
      paths = await this.paths();
      this.#follow(await realpath(this.#path), paths);
    } catch (error) {
      this.#failure ??= { since: new Date(), message: `${this.#path} cannot be read: ${(error as Error).message}` };
      return this.#changed();
    }
    if (this.#closed) return;
    let changed = this.#failure !== undefined || !this.#read;
    this.#failure = undefined;
    for (const path of new Set([...paths, ...this.#known.keys()])) {
      const now = paths.includes(path) ? await signatureOf(path) : undefined;
      if (now === this.#known.get(path)?.signature) this.#unsettled.delete(path);
      else if (this.#settled(path, now ?? '')) {
        this.#unsettled.delete(path);
        if (now === undefined) this.#known.delete(path);
        else await this.#readFile(path, now);
        changed = true;
      }
    }
    this.#read = true;
    if (changed && !this.#closed) this.#changed();
  }

  /** Whether the file is as it was a moment ago. At the start there is nothing to lose by reading it as it is. */
  #settled(path: string, signature: string): boolean {
    const seen = this.#unsettled.get(path);
    const now = performance.now();
    if (seen?.signature !== signature) this.#unsettled.set(path, { signature, since: now });
    else if (now - seen.since >= QUIET - 5) return true;
    return !this.#read;
  }

  async #readFile(path: string, signature: string): Promise<void> {
    const before = this.#known.get(path)?.documents ?? [];
    try {
      const text = await readFile(path, 'utf8');
      // whoever wrote meanwhile makes another signature, and it is read again
      this.#known.set(path, { path, signature, documents: parseDocuments(text, this.#yaml) });
    } catch (error) {
      const message = `${(error as Error).message}; what was read of it before still counts`;
      const problem = { object: `File/${basename(path)}`, reason: 'InvalidFile', message };
      this.#known.set(path, { path, signature, documents: before, problem });
    }
  }

  /** Without a watch (there are no more inotify watches, or none at all on this file system) there is the regular look. */
  #follow(real: string, paths: readonly string[]): void {
    const folder = paths.length === 1 && paths[0] === real ? dirname(real) : real;
    if (this.#watched === folder && this.#watcher) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = folder;
    if (this.#closed) return;
    try {
      const watcher = watch(folder, () => this.#lookIn(5));
      watcher.on('error', () => {
        watcher.close();
        this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }

  #lookIn(milliseconds: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.look(), milliseconds);
  }
}

/** Another one for anything written, the same while nobody writes. */
async function signatureOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return undefined;
  }
}
