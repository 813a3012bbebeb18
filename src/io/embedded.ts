/**
 * Loads shared libraries from inside a single executable: the addon, and libIPSec_MB if present.
 * The loader needs files, so each library is written to a nameless file. No other program can
 * replace it, and it disappears however the process ends.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { constants as os, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getAsset } from 'node:sea';

/**
 * Where a package installs the same files. Loading them from here works even if every other folder
 * is mounted noexec.
 */
const PACKAGE_FOLDER = '/usr/lib/wireguard-ts';
const ADDON = 'wireguard.node';
const IPSEC_MB = 'libIPSec_MB.so.1';
const OWN_FILES = '/proc/self/fd';
/** For open(2); missing in node:fs. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
/**
 * For dlopen(3); missing in node:os. Node unloads a library that is not an addon. This flag keeps
 * the library loaded, so that the addon finds it by name.
 */
const RTLD_NODELETE = 0x1000;
const GROUP_OR_OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Loads the addon out of the executable.
 * @throws Error naming each folder that was tried, and why it failed
 */
export function embeddedBinding<Binding extends { cipherProviders(): unknown }>(): Binding {
  const addon = { exports: {} };
  load(ADDON, path => process.dlopen(addon, path));
  const binding = addon.exports as Binding;
  // load libIPSec_MB on the first use: it takes some 13 MB, and only a device needs it
  const cipherProviders = () => {
    loadIpsecMb();
    return binding.cipherProviders();
  };
  return { ...binding, cipherProviders };
}

let isIpsecMbTried = false;

/**
 * Loads libIPSec_MB. Prefers the library of this system, which may be newer. If neither loads, the
 * addon reports what is missing.
 */
function loadIpsecMb(): void {
  if (isIpsecMbTried || process.arch !== 'x64') return;
  isIpsecMbTried = true;
  const keep = (path: string) => {
    try {
      process.dlopen({ exports: {} }, path, os.dlopen.RTLD_NOW | RTLD_NODELETE);
    } catch (error) {
      // this error means that the library is loaded, although it is not an addon
      if (!/did not self-register/.test((error as Error).message)) throw error;
    }
  };
  try {
    keep(IPSEC_MB);
  } catch {
    try {
      load(IPSEC_MB, keep);
    } catch {
      // the executable does not contain the library, or this system cannot load it
    }
  }
}

function load(asset: string, open: (path: string) => void): void {
  const bytes = new Uint8Array(getAsset(asset));
  const problems: string[] = [];
  for (const place of [packageFile(asset), ...folders()]) {
    if (place === undefined) continue;
    try {
      if (typeof place === 'string') openIn(place, bytes, open);
      else open(place.path);
      return;
    } catch (error) {
      problems.push(`${typeof place === 'string' ? place : place.path}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    `no folder allows loading a library; mount one without noexec, or set TMPDIR to one (${problems.join('; ')})`,
  );
}

/** Returns the folders to try, those in memory first. */
function folders(): string[] {
  const all = [
    '/dev/shm',
    tmpdir(),
    '/tmp',
    '/var/tmp',
    '/run',
    process.env['HOME'] ?? '/root',
    dirname(process.execPath),
  ];
  return [...new Set(all)].filter(folder => existsSync(folder));
}

/** Returns the installed file if it equals the embedded one and only root can change it. */
function packageFile(asset: string): { readonly path: string } | undefined {
  const path = join(PACKAGE_FOLDER, asset);
  try {
    for (const each of [PACKAGE_FOLDER, path]) {
      const file = openSync(each, constants.O_RDONLY | constants.O_NOFOLLOW);
      const { uid, mode } = fstatSync(file);
      closeSync(file);
      if (uid !== 0 || (mode & GROUP_OR_OTHERS_WRITE) !== 0) return undefined;
    }
    return Buffer.from(getAsset(asset)).equals(readFileSync(path)) ? { path } : undefined;
  } catch {
    return undefined; // it is not there
  }
}

/**
 * Writes a library to a nameless file and loads it. The file stays open after success: the loader
 * identifies libraries by path, here /proc/self/fd/NUMBER, and would mistake a later file with the
 * same number for this one.
 */
function openIn(folder: string, bytes: Uint8Array, open: (path: string) => void): void {
  if (!existsSync(OWN_FILES)) {
    openNamed(folder, bytes, open);
    return;
  }
  const file = openNameless(folder);
  try {
    writeAll(file, bytes);
    open(`${OWN_FILES}/${file}`);
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function openNameless(folder: string): number {
  try {
    return openSync(folder, O_TMPFILE | constants.O_RDWR | constants.O_EXCL, 0o700);
  } catch {
    // a file system without O_TMPFILE, such as overlayfs before Linux 6.1: create a file with a
    // name, and remove the name before writing the content
    return inOwnFolder(folder, path => openSync(path, 'wx+', 0o700));
  }
}

/** Loads a library from a file with a name. Without /proc, a nameless file has no path. */
function openNamed(folder: string, bytes: Uint8Array, open: (path: string) => void): void {
  const { uid, mode } = statSync(folder);
  if (uid !== 0 && uid !== process.geteuid?.())
    throw new Error('it belongs to another user, who could change the file');
  if ((mode & GROUP_OR_OTHERS_WRITE) !== 0 && (mode & STICKY) === 0) throw new Error('others could change the file');
  inOwnFolder(folder, path => {
    const file = openSync(path, 'wx', 0o700);
    try {
      writeAll(file, bytes);
    } finally {
      closeSync(file);
    }
    open(path);
  });
}

/**
 * Calls `use` with the path of a file to create. Only we can enter its folder, which is removed as
 * soon as `use` returns.
 */
function inOwnFolder<T>(parent: string, use: (path: string) => T): T {
  const folder = mkdtempSync(join(parent, 'wireguard-ts-'));
  const path = join(folder, 'library');
  try {
    return use(path);
  } finally {
    // not recursive: the owner of the parent could have replaced this folder
    try {
      if (existsSync(path)) unlinkSync(path);
    } finally {
      rmdirSync(folder);
    }
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}
