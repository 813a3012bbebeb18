/** Writes the standard output or standard error of a command. */
import { once } from 'node:events';
import { writeSync } from 'node:fs';

/**
 * Writes synchronously, without Node's streams: in a short command, loading them takes longer than
 * everything else. A stream is needed only if the descriptor is non-blocking and its buffer is
 * full. The stream then keeps the pending text.
 */
export class Output {
  readonly #descriptor: number;
  readonly #openStream: () => NodeJS.WriteStream;
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #stream: NodeJS.WriteStream | undefined;

  /** @param openStream opens Node's stream for the descriptor */
  constructor(
    descriptor: number,
    openStream: () => NodeJS.WriteStream,
    onError: (error: NodeJS.ErrnoException) => void,
  ) {
    this.#descriptor = descriptor;
    this.#openStream = openStream;
    this.#onError = onError;
  }

  write(text: string): void {
    if (this.#stream) {
      this.#stream.write(text);
      return;
    }
    let rest = Buffer.from(text);
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN')
        this.#stream = this.#openStream().on('error', this.#onError);
      if (this.#stream) this.#stream.write(rest);
      else this.#onError(error as NodeJS.ErrnoException);
    }
  }

  /** Resolves when more text can be written without keeping it in memory. */
  async drained(): Promise<void> {
    if (this.#stream?.writableNeedDrain) await once(this.#stream, 'drain');
  }
}
