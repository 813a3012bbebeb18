/** A network namespace of the benchmark: one of the two hosts. */
import { during, type Running, type RunOptions, run, start } from './command.ts';

export class Namespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  static async make(name: string): Promise<Namespace> {
    await run(['ip', 'netns', 'add', name]);
    const namespace = new Namespace(name);
    await namespace.ip('link set lo up');
    return namespace;
  }

  /** Runs `ip` commands, one per line, without the word `ip`. */
  async ip(...lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  run(argv: readonly string[], options?: RunOptions): Promise<string> {
    return run(this.#inside(argv), options);
  }

  /** Starts a command. The pid is the command's own, not a wrapper's. */
  start(argv: readonly string[], options?: RunOptions): Running {
    return start(this.#inside(argv), options);
  }

  during<T>(argv: readonly string[], action: (running: Running) => Promise<T>): Promise<T> {
    return during(this.#inside(argv), action);
  }

  #inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv];
  }
}
