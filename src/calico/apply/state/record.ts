/**
 * Stores which interfaces and tables the agent owns on this node. A later agent may be configured
 * with other names. It must then remove the resources with the old names, or two devices would
 * claim the same port. The file holds names only: each resource is checked before it is removed.
 */
import { isInterfaceName } from '../../../base/interface-name.ts';
import type { PerFamily } from '../../model/cluster.ts';
import type { Owned, Records } from '../ports.ts';
import { isOwnTable } from '../routing/routes.ts';
import type { StateDirectory } from './state-directory.ts';

export const RECORD_FILE = 'made.json';

export class RecordFile implements Records {
  readonly #directory: StateDirectory;
  readonly #warn: (text: string) => void;
  #cached: PerFamily<readonly Owned[]> | undefined;

  constructor(directory: StateDirectory, warn: (text: string) => void) {
    this.#directory = directory;
    this.#warn = warn;
  }

  read(): PerFamily<readonly Owned[]> {
    this.#cached ??= this.#load();
    return this.#cached;
  }

  write(records: PerFamily<readonly Owned[]>): void {
    this.#directory.write(RECORD_FILE, new TextEncoder().encode(`${JSON.stringify(records, undefined, 1)}\n`));
    this.#cached = records;
  }

  #load(): PerFamily<readonly Owned[]> {
    const bytes = this.#directory.read(RECORD_FILE);
    if (!bytes) return {};
    try {
      const records = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> | null;
      return { 4: ownedOf(records?.['4']), 6: ownedOf(records?.['6']) };
    } catch {
      this.#warn(
        `${this.#directory.pathOf(RECORD_FILE)} cannot be read, so interfaces and routes that the agent created under other names may remain: remove them by hand`,
      );
      return {};
    }
  }
}

/** Drops entries that are not valid records. */
function ownedOf(value: unknown): Owned[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each: Partial<Record<string, unknown>> | null) => {
    const { interfaceName, table } = each ?? {};
    if (typeof interfaceName !== 'string' || !isInterfaceName(interfaceName)) return [];
    return typeof table === 'number' && isOwnTable(table) ? [{ interfaceName, table }] : [];
  });
}
