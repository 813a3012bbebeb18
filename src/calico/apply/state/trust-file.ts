/**
 * Stores what this node's agents have seen of the cluster and must not forget with a restart: which
 * node published each key first (datastore/key-history.ts), and the ranges of the IPPools
 * (agent/cluster/trust-memory.ts). The file holds names, public keys and prefixes only. Without it,
 * an agent trusts the age of Nodes and the pools that exist.
 */
import { formatKeyBase64, parseKeyBase64 } from '../../../base/key.ts';
import { formatPrefix, parsePrefix } from '../../../base/prefix.ts';
import type { PerFamily, PoolRange } from '../../model/cluster.ts';
import type { StateDirectory } from './state-directory.ts';

export interface TrustRecord {
  /** By key in base64. */
  readonly keyOwners: PerFamily<ReadonlyMap<string, string>>;
  readonly pools: readonly PoolRange[];
}

export const TRUST_FILE = 'trust.json';
/** Far above 10,000 nodes with keys of both families: about 2 MB. */
const LARGEST_BYTES = 32 << 20;
const LONGEST_NAME = 253;
const EMPTY: TrustRecord = { keyOwners: {}, pools: [] };

export class TrustFile {
  readonly #directory: StateDirectory;
  readonly #warn: (text: string) => void;

  constructor(directory: StateDirectory, warn: (text: string) => void) {
    this.#directory = directory;
    this.#warn = warn;
  }

  /** Returns an empty record if there is no file, or none that can be used. */
  read(): TrustRecord {
    try {
      const bytes = this.#directory.read(TRUST_FILE, LARGEST_BYTES);
      return bytes ? parse(JSON.parse(new TextDecoder().decode(bytes))) : EMPTY;
    } catch (error) {
      this.#warn(
        `${this.#directory.pathOf(TRUST_FILE)} cannot be read (${(error as Error).message}), so this agent takes the oldest Node for the owner of a key that several publish; the file is written again`,
      );
      return EMPTY;
    }
  }

  /** @throws Error that names the file */
  write({ keyOwners, pools }: TrustRecord): void {
    const keys = (family: 4 | 6): object => Object.fromEntries(keyOwners[family] ?? []);
    const ranges = pools.map(({ cidr, blockSize }) => ({ cidr: formatPrefix(cidr), blockSize }));
    const text = JSON.stringify({ keys: { 4: keys(4), 6: keys(6) }, pools: ranges });
    this.#directory.write(TRUST_FILE, new TextEncoder().encode(`${text}\n`));
  }
}

/** Drops entries that are not valid. */
function parse(value: unknown): TrustRecord {
  const { keys, pools } = Object(value) as { readonly keys?: unknown; readonly pools?: unknown };
  const ofFamily = (family: '4' | '6'): ReadonlyMap<string, string> => {
    const entries = Object.entries(Object((Object(keys) as Record<string, unknown>)[family]) as object);
    return new Map(entries.filter((entry): entry is [string, string] => isKey(entry[0]) && isName(entry[1])));
  };
  return {
    keyOwners: { 4: ofFamily('4'), 6: ofFamily('6') },
    pools: Array.isArray(pools) ? pools.flatMap(rangeOf) : [],
  };
}

function isKey(text: string): boolean {
  const key = parseKeyBase64(text);
  return key !== undefined && formatKeyBase64(key) === text;
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;
}

function rangeOf(value: unknown): PoolRange[] {
  const { cidr: text, blockSize } = Object(value) as { readonly cidr?: unknown; readonly blockSize?: unknown };
  const cidr = typeof text === 'string' ? parsePrefix(text) : undefined;
  if (!cidr || typeof blockSize !== 'number' || !Number.isInteger(blockSize)) return [];
  return blockSize >= cidr.length && blockSize <= cidr.address.length * 8 ? [{ cidr, blockSize }] : [];
}
