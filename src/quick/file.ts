/**
 * wg-quick's file format: what `wg setconf` takes, and in [Interface] also Address, DNS, MTU, Table, PreUp, PostUp, PreDown, PostDown and
 * SaveConfig (wg-quick(8) "CONFIGURATION"). Keys in any case, `#` begins a comment everywhere, hooks too. Lists may be said in several
 * lines. Unlike wg-quick, which finds out on the way, all of it is judged before anything is done.
 */
import { parseAddress } from '../base/address.ts';
import { type ConfFile, parseConf } from '../config/conf.ts';
import { ConfigError, quote } from '../config/errors.ts';
import type { Zones } from '../config/zones.ts';
import { TABLE } from '../netlink/route.ts';

export type HookEvent = 'PreUp' | 'PostUp' | 'PreDown' | 'PostDown';
export const HOOK_EVENTS: readonly HookEvent[] = ['PreUp', 'PostUp', 'PreDown', 'PostDown'];

export interface QuickAddress {
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

export interface QuickFile {
  /** As it was given, for messages. */
  readonly path: string;
  /** Of the interface. */
  readonly name: string;
  readonly addresses: readonly QuickAddress[];
  readonly dns: readonly string[];
  /** Search domains. */
  readonly search: readonly string[];
  readonly mtu?: number;
  readonly table: 'auto' | 'off' | number;
  /** As it stands in the file, to be saved again. */
  readonly tableText?: string;
  readonly saveConfig: boolean;
  readonly hooks: Readonly<Record<HookEvent, readonly string[]>>;
  readonly wireguard: ConfFile;
  /** The file without wg-quick's keys. */
  readonly stripped: string;
}

export interface FileOptions {
  readonly zones: Zones;
  /** Numbers of tables by name (rt_tables). */
  readonly tables?: ReadonlyMap<string, number>;
  readonly warn?: (message: string) => void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Mutable<Pick<QuickFile, 'mtu' | 'table' | 'tableText' | 'saveConfig'>> & {
  readonly addresses: QuickAddress[];
  readonly dns: string[];
  readonly search: string[];
  readonly hooks: Record<HookEvent, string[]>;
};

const BUILT_IN_TABLES: ReadonlyMap<string, number> = new Map(Object.entries(TABLE));
const LARGEST_TABLE = 0xffffffff;
const [SMALLEST_MTU, LARGEST_MTU] = [68, 65535];

/** @throws ConfigError that names file, line and value */
export function parseQuickFile(text: string, path: string, options: FileOptions): QuickFile {
  const { zones, tables = new Map(), warn } = options;
  const draft: Draft = {
    addresses: [],
    dns: [],
    search: [],
    table: 'auto',
    saveConfig: false,
    hooks: { PreUp: [], PostUp: [], PreDown: [], PostDown: [] },
  };
  const rest: (string | undefined)[] = [];
  let inInterface = false;
  for (const [i, line] of text.split('\n').entries()) {
    const content = line.split('#')[0]!.trim();
    if (content.startsWith('[')) inInterface = content.replace(/\s/g, '').toLowerCase() === '[interface]';
    try {
      rest.push(inInterface && readKey(draft, content, tables) ? undefined : line);
    } catch (error) {
      throw error instanceof ConfigError ? error.at({ file: path, line: i + 1 }) : error;
    }
  }
  // with an empty line for what was taken out, so that lines keep their numbers
  const wireguard = parseConf(rest.map(line => line ?? '').join('\n'), path, zones, warn);
  const stripped = rest.filter(line => line !== undefined).join('\n');
  return { ...draft, path, name: interfaceName(path), wireguard, stripped };
}

/** The interface that a file is for: its own name without `.conf`. @throws ConfigError if that is none */
export function interfaceName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const name = /^([A-Za-z0-9_=+.-]{1,15})\.conf$/.exec(base)?.[1];
  if (name !== undefined && name !== '.' && name !== '..') return name;
  throw new ConfigError(
    'bad-value',
    `the configuration file must be named for its interface: a name of 1 to 15 characters from a-z A-Z 0-9 _ = + . -, then .conf; ${quote(base)} is not`,
    { value: base },
  );
}

/** @returns false for a key that is not wg-quick's */
function readKey(draft: Draft, content: string, tables: ReadonlyMap<string, number>): boolean {
  const equals = content.indexOf('=');
  if (equals < 0) return false;
  const key = content.slice(0, equals).trim().toLowerCase();
  const value = content.slice(equals + 1).trim();
  const hook = HOOK_EVENTS.find(event => event.toLowerCase() === key);
  if (hook) {
    if (value === '') throw new ConfigError('syntax', `${hook} has no value: give it a command or leave the line out`);
    draft.hooks[hook].push(value);
    return true;
  }
  switch (key) {
    case 'address':
      for (const item of items(value)) draft.addresses.push(parseInterfaceAddress(item));
      return true;
    case 'dns':
      for (const item of items(value)) (parseAddress(item) ? draft.dns : draft.search).push(domainOrAddress(item));
      return true;
    case 'mtu':
      draft.mtu = parseMtu(value);
      return true;
    case 'table':
      draft.table = parseTable(value, tables);
      draft.tableText = value;
      return true;
    case 'saveconfig':
      draft.saveConfig = parseSwitch(value);
      return true;
    default:
      return false;
  }
}

function items(value: string): string[] {
  return value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
}

function parseInterfaceAddress(text: string): QuickAddress {
  const [host, bits, ...more] = text.split('/');
  const address = parseAddress(host!);
  const longest = (address?.length ?? 0) * 8;
  const prefixLength = bits === undefined ? longest : /^[0-9]{1,3}$/.test(bits) ? Number(bits) : -1;
  if (address && more.length === 0 && prefixLength >= 0 && prefixLength <= longest) return { address, prefixLength };
  throw badValue('Address', text, 'write an address with its prefix length, such as 10.0.0.2/24 or fd00::2/64');
}

/** What reaches resolvconf in lines of its own may hold nothing but a name. */
function domainOrAddress(text: string): string {
  if (/^[A-Za-z0-9._:~-]{1,253}$/.test(text)) return text;
  throw badValue('DNS', text, 'write addresses of name servers, and search domains, with commas between them');
}

function parseMtu(text: string): number {
  const mtu = /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  if (mtu >= SMALLEST_MTU && mtu <= LARGEST_MTU) return mtu;
  throw badValue('MTU', text, `an MTU is a number from ${SMALLEST_MTU} to ${LARGEST_MTU}`);
}

function parseTable(text: string, tables: ReadonlyMap<string, number>): QuickFile['table'] {
  const word = text.toLowerCase();
  if (word === 'auto' || word === 'off') return word;
  if (/^([0-9]{1,10}|0x[0-9a-f]{1,8})$/.test(word) && Number(word) > 0 && Number(word) <= LARGEST_TABLE)
    return Number(word);
  const named = tables.get(text) ?? BUILT_IN_TABLES.get(text);
  if (named !== undefined && named > 0) return named;
  throw badValue('Table', text, 'it is auto, off, a number, or a name from /etc/iproute2/rt_tables');
}

function parseSwitch(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw badValue('SaveConfig', text, 'it is true or false');
}

function badValue(key: string, text: string, fix: string): ConfigError {
  return new ConfigError('bad-value', `${key} ${quote(text)}: ${fix}`, { value: text });
}
