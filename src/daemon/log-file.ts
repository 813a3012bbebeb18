/**
 * A log file of bounded size. At its limit it is renamed to FILE.1, which replaces an older one.
 * Lines of a failed asynchronous write are lost.
 */
import { closeSync, constants, fstatSync, openSync, renameSync, write, writeSync } from 'node:fs';

const LARGEST = 1 << 20;
const MOST_WAITING = 256 << 10;
/** The pause after a failure, such as a full disk. */
const RETRY_MS = 5000;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

export class LogFile {
  readonly #path: string;
  readonly #largest: number;
  #fd = -1;
  #size = 0;
  #waiting: string[] = [];
  #waitingLength = 0;
  #isWriting = false;
  #dropped = 0;
  #again = 0;

  constructor(path: string, largest = LARGEST) {
    this.#path = path;
    this.#largest = largest;
  }

  write(line: string): void {
    if (this.#waitingLength > MOST_WAITING) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) this.#push(`${this.#dropped} lines were dropped: the log could not be written\n`);
    this.#dropped = 0;
    this.#push(line);
    this.#pump();
  }

  flush(): void {
    const text = this.#take();
    try {
      if (text !== '' && this.#ready()) writeSync(this.#fd, text);
    } catch {
      // the process ends, and there is no other place to report the failure
    }
  }

  #push(line: string): void {
    this.#waiting.push(line);
    this.#waitingLength += line.length;
  }

  #take(): string {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingLength = 0;
    return text;
  }

  #pump(): void {
    if (this.#isWriting || this.#waiting.length === 0) return;
    if (performance.now() < this.#again || !this.#ready()) {
      this.#dropped += this.#waiting.length;
      this.#take();
      return;
    }
    const bytes = Buffer.from(this.#take());
    this.#isWriting = true;
    write(this.#fd, bytes, (error, written) => {
      this.#isWriting = false;
      this.#size += bytes.length;
      if (error || written < bytes.length) this.#fail();
      this.#pump();
    });
  }

  /** Opens the file, or rotates it at its limit. @returns false if it cannot be opened now */
  #ready(): boolean {
    try {
      if (this.#fd >= 0 && this.#size >= this.#largest) {
        renameSync(this.#path, `${this.#path}.1`);
        closeSync(this.#fd);
        this.#fd = -1;
      }
      if (this.#fd < 0) {
        this.#fd = openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
        this.#size = fstatSync(this.#fd).size;
      }
      return true;
    } catch {
      this.#fail();
      return false;
    }
  }

  #fail(): void {
    this.#dropped++;
    this.#again = performance.now() + RETRY_MS;
    try {
      if (this.#fd >= 0) closeSync(this.#fd);
    } catch {
      // the disk with the file is gone
    }
    this.#fd = -1;
  }
}
