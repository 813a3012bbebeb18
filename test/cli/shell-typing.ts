/** Types into a shell that has a terminal of its own, and waits for its output. */
import { type ChildProcess, spawn } from 'node:child_process';

const PATIENCE_MS = 40_000;
/** Printed at the end of the setup. The typed text differs, so its echo does not match. */
const READY = 'ready-42';

export class ShellTyping {
  readonly #child: ChildProcess;
  #shown = '';
  #onOutput = () => {};

  /** @param command the shell, with options that keep it from reading the user's files */
  constructor(command: string, options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) {
    this.#child = spawn('script', ['-qec', command, '/dev/null'], { ...options, stdio: 'pipe' });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#shown += text;
      this.#onOutput();
    });
    this.#child.stdin!.on('error', () => {});
  }

  /** Runs a line and waits until it ends. */
  async run(line: string): Promise<void> {
    this.#child.stdin!.write(`${line}; echo ready-$((40 + 2))\n`);
    await this.#wait(READY);
  }

  /**
   * Types a line and Tab, waits for the expected text, and clears the line. @throws Error with the
   * actual output
   */
  async complete(typed: string, shown: string): Promise<void> {
    this.#shown = '';
    this.#child.stdin!.write(`${typed}\t`);
    await this.#wait(shown);
    // Moves to the end of the line and deletes back to its start.
    this.#child.stdin!.write('\x05\x15');
  }

  /** Types keys and waits for the expected text. */
  async type(keys: string, shown: string): Promise<void> {
    this.#child.stdin!.write(keys);
    await this.#wait(shown);
  }

  close(): void {
    this.#child.stdin!.end('exit\n');
    this.#child.kill('SIGHUP');
  }

  #wait(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not shown: ${text}; but: ${JSON.stringify(this.#plain())}`)),
        PATIENCE_MS,
      );
      this.#onOutput = () => {
        if (!this.#plain().includes(text)) return;
        clearTimeout(timer);
        this.#onOutput = () => {};
        resolve();
      };
      this.#onOutput();
    });
  }

  /** Returns the output without sequences that move the cursor or set colours. */
  #plain(): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences contain them
    return this.#shown.replace(/\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|[\x07\x08]/g, '');
  }
}
