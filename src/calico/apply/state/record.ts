/**
 * What was made on this node, in a file: the agent that comes after may be told other names for its interfaces and tables, and must take away those of
 * before, or two devices would want one port. It is only a note of names: what it says is looked at before anything is removed.
 */
import { isLinkName } from '../../../netlink/links.ts';
import type { PerFamily } from '../../model/cluster.ts';
import type { Owned, Records } from '../ports.ts';
import { isOwnTable } from '../routing/routes.ts';
import type { StateDirectory } from './state-directory.ts';

const FILE = 'made.json';

export class RecordFile implements Records {
  readonly #directory: StateDirectory;
  readonly #warn: (text: string) => void;
  #known: PerFamily<readonly Owned[]> | undefined;

  constructor(directory: StateDirectory, warn: (text: string) => void) {
    this.#directory = directory;
    this.#warn = warn;
  }

  read(): PerFamily<readonly Owned[]> {
    this.#known ??= this.#load();
    return this.#known;
  }

  write(records: PerFamily<readonly Owned[]>): void {
    this.#directory.write(FILE, new TextEncoder().encode(`${JSON.stringify(records, undefined, 1)}\n`));
    this.#known = records;
  }

  #load(): PerFamily<readonly Owned[]> {
    const bytes = this.#directory.read(FILE);
    if (!bytes) return {};
    try {
      const records = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> | null;
      return { 4: ownedOf(records?.['4']), 6: ownedOf(records?.['6']) };
    } catch {
      this.#warn(
        `${this.#directory.pathOf(FILE)} cannot be read as what this program wrote; what it made under other names before may be left over`,
      );
      return {};
    }
  }
}

/** What is no such note is left out. */
function ownedOf(value: unknown): Owned[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each: Partial<Record<string, unknown>> | null) => {
    const { interfaceName, table } = each ?? {};
    if (typeof interfaceName !== 'string' || !isLinkName(interfaceName)) return [];
    return typeof table === 'number' && isOwnTable(table) ? [{ interfaceName, table }] : [];
  });
}
