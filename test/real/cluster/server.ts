/** A server that can be stopped and started again. Its output goes to a file. */
import { type Running, start } from '../../netns/command.ts';

export class Server {
  readonly name: string;
  readonly #argv: readonly string[];
  #running: Running | undefined;

  /** @param inside a command that runs its arguments in other namespaces */
  constructor(name: string, program: string, log: string, args: readonly string[], inside: readonly string[] = []) {
    this.name = name;
    // A file instead of our pipe: this process may be busy, and the server must not wait for it.
    this.#argv = [...inside, 'sh', '-c', `exec "$@" >>'${log}' 2>&1`, name, program, ...args];
  }

  start(): void {
    if (this.#running && !this.hasEnded()) return;
    this.#running = start(this.#argv);
  }

  hasEnded(): boolean {
    return this.#running?.result() !== undefined;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#running?.stop(signal);
  }
}
