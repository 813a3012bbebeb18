/**
 * Shows progress on stderr: on a terminal one line, rewritten in place; otherwise a line per step.
 */

export class Progress {
  readonly #steps: number;
  readonly #started = Date.now();
  readonly #terminal = process.stderr.isTTY === true;
  #done = 0;

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** Announces a step. */
  begin(what: string): void {
    if (this.#terminal) this.#write(`${this.#position()} ${what} ...`);
  }

  /** Reports the outcome of a step. */
  end(what: string, outcome: string): void {
    this.#done++;
    const line = `${this.#position()} ${what}: ${outcome}`;
    if (this.#terminal) this.#write(line);
    else process.stderr.write(`${line}\n`);
  }

  /** Prints a line that stays on the screen. */
  remark(text: string): void {
    process.stderr.write(this.#terminal ? `\r\x1b[K${text}\n` : `${text}\n`);
  }

  finish(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }

  #position(): string {
    const seconds = (Date.now() - this.#started) / 1000;
    const left = this.#done === 0 ? undefined : (seconds / this.#done) * (this.#steps - this.#done);
    const rest =
      left === undefined ? '' : `, ${left < 90 ? `${Math.round(left)} s` : `${Math.round(left / 60)} min`} left`;
    return `[${this.#done}/${this.#steps}${rest}]`;
  }

  #write(line: string): void {
    const width = process.stderr.columns || 80;
    process.stderr.write(`\r\x1b[K${line.slice(0, width - 1)}`);
  }
}
