/**
 * Stores which program version in which container runs each device. A later agent takes the devices
 * of other versions and containers over. The file is read each time, because an agent that stepped
 * down leads again after its successor wrote it.
 */
import { isInterfaceName } from '../../../base/interface-name.ts';
import type { Runners } from '../ports.ts';
import type { StateDirectory } from './state-directory.ts';

export const RUNNER_FILE = 'runners.json';

export class RunnerFile implements Runners {
  readonly own: string;
  readonly #directory: StateDirectory;
  readonly #failures = new Map<string, string>();

  /** @param own names this program version and container */
  constructor(directory: StateDirectory, own: string) {
    this.#directory = directory;
    this.own = own;
  }

  read(name: string): string | undefined {
    return this.#load().get(name);
  }

  write(name: string, runner: string): void {
    this.#failures.delete(name);
    const runners = this.#load();
    if (runners.get(name) === runner) return;
    const text = JSON.stringify(Object.fromEntries(runners.set(name, runner)), undefined, 1);
    this.#directory.write(RUNNER_FILE, new TextEncoder().encode(`${text}\n`));
  }

  isNews(name: string, failure: string): boolean {
    if (this.#failures.get(name) === failure) return false;
    this.#failures.set(name, failure);
    return true;
  }

  /** A file that cannot be read costs a hand-over that was not needed. */
  #load(): Map<string, string> {
    try {
      const bytes = this.#directory.read(RUNNER_FILE);
      const entries = Object.entries(Object(JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array()))));
      return new Map(
        entries.filter((entry): entry is [string, string] => isInterfaceName(entry[0]) && typeof entry[1] === 'string'),
      );
    } catch {
      return new Map();
    }
  }
}
