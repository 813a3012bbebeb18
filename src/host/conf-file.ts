/** Configuration files where people keep them: by a path, or by a name in /etc/wireguard. */
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
import { oddities } from '../quick/oddities.ts';
import { CONFIG_FOLDER, nameProblem, readConfigFile } from './read-config.ts';
import { hideKeys } from './secret-file.ts';

const TABLE_FILES = ['/usr/share/iproute2/rt_tables', '/etc/iproute2/rt_tables', '/usr/lib/iproute2/rt_tables'];
const TABLE_FOLDER = '/etc/iproute2/rt_tables.d';

/**
 * An interface's name stands for its file in /etc/wireguard; all else is a path, and so is `wg0.conf` beside us if it is nothing there.
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
 * Its keys are in memory that eraseConfig overwrites, and `stripped` has stand-ins for them: this is for programs that stay.
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

/** The file as `wg setconf` takes it, with its keys as text: for a program that ends with it. @throws ConfigError as readQuickFile */
export function readStripped(path: string, warn: (message: string) => void): string {
  const bytes = readConfigFile(path, warn);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  return parseQuickFile(text, path, { zones: systemZones, tables: routingTables(), warn }).stripped;
}

/** Another one for another content, as far as the file system tells. */
export function fileVersion(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

/** Readable by its owner alone; the old file is there until the new one is whole on disk. */
export function writeQuickFile(path: string, text: string): void {
  // where a link points to, so that the link stays
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

/** Numbers of routing tables by their names. */
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
