/**
 * Edits objects in the files of a FileSet. One program writes at a time, and each file is replaced
 * atomically. All documents except the edited object's stay unchanged, byte for byte.
 */
import { randomBytes } from 'node:crypto';
import { chmod, chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codedError } from '../../../base/coded-error.ts';
import type { Yaml } from '../parse/exact-yaml.ts';
import { newDocument, parseDocuments, rewriteDocument } from './documents.ts';
import { withLock } from './lock.ts';
import type { FileSet } from './set.ts';

/**
 * Returns the object to store: a new object to write it, the same object to write nothing,
 * undefined to delete it.
 */
export type Edit = (object: unknown) => unknown;

export class FileEditor {
  readonly #path: string;
  readonly #files: FileSet;
  readonly #yaml: Yaml;

  constructor(path: string, files: FileSet, yaml: Yaml) {
    this.#path = path;
    this.#files = files;
    this.#yaml = yaml;
  }

  /** Reads the objects from the files directly, without the cache. */
  async objects(): Promise<readonly unknown[]> {
    const out: unknown[] = [];
    for (const path of await this.#files.paths())
      for (const { objects } of await this.#documents(path)) out.push(...objects);
    return out;
  }

  /**
   * Replaces the first matching object with the result of `edit`.
   * @returns whether an object matched
   */
  async edit(matches: (object: unknown) => boolean, edit: Edit): Promise<boolean> {
    return await this.#exclusive(() => this.#edit(matches, edit));
  }

  /**
   * Adds an object, unless an existing object matches. In a folder, the object gets a file of its
   * own.
   * @returns whether the object was added
   */
  async add(object: unknown, fileName: string, matches: (object: unknown) => boolean): Promise<boolean> {
    return await this.#exclusive(async () => {
      for (const path of await this.#files.paths())
        if ((await this.#documents(path)).some(({ objects }) => objects.some(matches))) return false;
      const real = await realpath(this.#path);
      const folder = (await stat(real)).isDirectory();
      const path = folder ? join(real, fileName) : real;
      const before = await readFile(path, 'utf8').catch(() => '');
      const separated = before === '' || before.endsWith('\n') ? before : `${before}\n`;
      await this.#write(path, before, separated + newDocument(object, this.#yaml));
      return true;
    });
  }

  async #edit(matches: (object: unknown) => boolean, edit: Edit): Promise<boolean> {
    for (const path of await this.#files.paths()) {
      const documents = await this.#documents(path);
      for (const [at, document] of documents.entries()) {
        const index = document.objects.findIndex(matches);
        if (index < 0) continue;
        const before = document.objects[index];
        const after = edit(before);
        if (after === before) return true;
        const texts = documents.map(({ text }) => text);
        const whole = texts.join('');
        if (after !== undefined) texts[at] = rewriteDocument(document, index, after, this.#yaml);
        else if (document.objects.length > 1)
          throw codedError('EINVAL', `${path}: this program does not delete objects from a List: delete it by hand`);
        else texts.splice(at, 1);
        await this.#write(path, whole, texts.join(''));
        return true;
      }
    }
    return false;
  }

  async #documents(path: string): Promise<ReturnType<typeof parseDocuments>> {
    try {
      return parseDocuments(await readFile(path, 'utf8'), this.#yaml);
    } catch (error) {
      // Another program may be writing this file. If it is not known to hold objects, the wanted
      // object is probably in another file.
      const known = this.#files.files.find(file => file.path === path);
      if (known?.documents.length) throw codedError('EAGAIN', `${path}: ${(error as Error).message}`);
      return [];
    }
  }

  /**
   * Replaces a file. Rejects with EAGAIN if a program without our lock wrote the file.
   * @param before the text that was edited; the file must still hold it
   */
  async #write(path: string, before: string, text: string): Promise<void> {
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}`);
    try {
      const old = await stat(path).catch(() => undefined);
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      if (old) await chown(temporary, old.uid, old.gid).catch(() => undefined);
      await chmod(temporary, old ? old.mode & 0o7777 : 0o644);
      const now = await readFile(path, 'utf8').catch(() => '');
      if (now.replace(/^\uFEFF/, '') !== before.replace(/^\uFEFF/, ''))
        throw codedError('EAGAIN', `${path}: another program wrote it at the same time`);
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    await this.#files.onWritten(path);
  }

  /** Runs `work` under the lock. Retries if another program wrote the file while `work` ran. */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const real = await realpath(this.#path);
    const folder = (await stat(real)).isDirectory();
    const lock = folder ? join(real, '.wireguard-ts.lock') : join(dirname(real), `.${basename(real)}.lock`);
    return await withLock(lock, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await work();
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || attempt === 5) throw error;
          await new Promise(resolve => setTimeout(resolve, 50 * attempt));
        }
      }
    });
  }
}
