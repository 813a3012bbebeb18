/** Configuration files by path, or by name in /etc/wireguard. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isZeroKey } from '../base/key.ts';
import { publicKeyOf } from '../io/secrets.ts';
import { systemZones } from '../io/zones.ts';
import { parseQuickFile, type QuickFile } from '../quick/file.ts';
import { oddities } from '../quick/likely-mistakes.ts';
import { CONFIG_FOLDER, nameProblem, readConfigFile } from './read-config.ts';
import { hideKeys } from './secret-file.ts';

const TABLE_FILES = ['/usr/share/iproute2/rt_tables', '/etc/iproute2/rt_tables', '/usr/lib/iproute2/rt_tables'];
const TABLE_FOLDER = '/etc/iproute2/rt_tables.d';

/**
 * Returns the path for an argument. An interface name means its file in /etc/wireguard; anything
 * else is a path. `wg0.conf` is a path if the current folder has that file and /etc/wireguard does
 * not.
 * @throws ConfigError for a name that is too long
 */
export function locateFile(argument: string): string {
  const wrong = existsSync(argument) ? undefined : nameProblem(argument);
  if (wrong) throw wrong;
  if (!/^[A-Za-z0-9_=+.-]{1,15}$/.test(argument)) return argument;
  const path = join(CONFIG_FOLDER, `${argument}.conf`);
  return argument.endsWith('.conf') && !existsSync(path) && existsSync(argument) ? `./${argument}` : path;
}

/**
 * Reads a file for a long-lived program. The keys are in memory that eraseConfig overwrites;
 * `stripped` contains stand-ins for them.
 * @throws ConfigError that names file, line and value
 */
export function readQuickFile(path: string, warn: (message: string) => void): QuickFile {
  const { text, reveal } = hideKeys(readConfigFile(path, warn));
  const options = { zones: systemZones, tables: routingTables(), warn, needsInterface: true };
  const file = parseQuickFile(text, path, options);
  const { privateKey, peers } = file.wireguard;
  const wireguard = {
    ...file.wireguard,
    ...(privateKey && { privateKey: reveal(privateKey) }),
    peers: peers.map(peer => (peer.presharedKey ? { ...peer, presharedKey: reveal(peer.presharedKey) } : peer)),
  };
  const whole = { ...file, wireguard };
  const ownKey =
    wireguard.privateKey && !isZeroKey(wireguard.privateKey) ? publicKeyOf(wireguard.privateKey) : undefined;
  for (const each of oddities(whole, ownKey)) warn(`${path}: ${each}`);
  return whole;
}

/**
 * Returns the file in the format of `wg setconf`. The result holds keys as text, so it is for
 * short-lived programs only.
 * @throws ConfigError as readQuickFile does
 */
export function readStripped(path: string, warn: (message: string) => void): string {
  const bytes = readConfigFile(path, warn);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  return parseQuickFile(text, path, { zones: systemZones, tables: routingTables(), warn }).stripped;
}

/** Returns a value that differs whenever the file system shows a change of the content. */
export function fileVersion(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

/**
 * Writes a file that only its owner can read. The old file stays in place until the new file is
 * complete on disk.
 */
export function writeQuickFile(path: string, text: string): void {
  // write the target of a symbolic link, so that the link itself stays
  const real = realpathSync(path);
  const draft = `${real}.${process.pid}.tmp`;
  const fd = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
    renameSync(draft, real);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Returns the numbers of routing tables by name. */
function routingTables(): ReadonlyMap<string, number> {
  const tables = new Map<string, number>();
  for (const file of [...TABLE_FILES, ...filesOf(TABLE_FOLDER)])
    for (const line of linesOf(file)) {
      const match = /^\s*([0-9]+|0x[0-9a-fA-F]+)\s+([^\s#]+)/.exec(line);
      if (match) tables.set(match[2]!, Number(match[1]));
    }
  return tables;
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith('.conf'))
      .map(name => join(folder, name));
  } catch {
    return [];
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}
