/**
 * The client of the control socket (wireguard-tools ipc-uapi.h, ipc-uapi-unix.h). Each operation
 * uses one connection. It works with every userspace WireGuard, except that only this one has
 * `counters`. As wg does, it removes a socket that no program answers. Interfaces of the kernel
 * have no socket; src/backend combines both.
 */

import { type BigIntStats, existsSync, opendirSync, statSync, unlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { newSecret } from '../base/bytes.ts';
import { codedError } from '../base/coded-error.ts';
import { checkInterfaceName, isInterfaceName } from '../base/interface-name.ts';
import { ConfigError } from '../config/errors.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { latin1, SecretText } from '../config/secret-text.ts';
import { parseCountersResponse, parseSetResponse, readGetResponse } from '../config/uapi-get.ts';
import { writeSetRequest } from '../config/uapi-set.ts';
import type { Zones } from '../config/zones.ts';
import { publicKeyOf } from '../io/secrets.ts';
import { uapiSocketPath } from './uapi-socket.ts';

const FOLDER = '/var/run/wireguard';
const SUFFIX = '.sock';
/** After this long without an answer, a device counts as stuck. */
const ANSWER_TIMEOUT_MS = 10_000;
const RECEIVED_AT_ONCE = 65_536;
const NEWLINE = 0x0a;
const HUNG_UP = new Set(['ECONNRESET', 'EPIPE']);

export class UapiClient {
  readonly #path: string;
  readonly #name: string;
  readonly #zones: Zones;

  constructor(name: string, zones: Zones) {
    this.#name = name;
    this.#path = uapiSocketPath(name);
    this.#zones = zones;
  }

  /**
   * Returns the status. A long-lived caller overwrites the secrets in it (eraseStatus).
   * @throws ConfigError; Error with `code` ENODEV when there is no such device, EACCES, ...
   */
  async get(): Promise<DeviceStatus> {
    const status = await this.#ask('get=1\n\n', answer => readGetResponse(answer, this.#zones));
    if (!status.privateKey) return status;
    return { ...status, publicKey: publicKeyOf(status.privateKey) };
  }

  /** Applies a configuration. @throws ConfigError `refused` with the device's errno */
  async set(config: DeviceConfig): Promise<void> {
    await this.#ask(writeSetRequest(config, this.#zones), answer => parseSetResponse(textOf(answer)));
  }

  /** Returns the counters; undefined for other daemons, which answer with an error or hang up. */
  async counters(): Promise<Record<string, number> | undefined> {
    try {
      return await this.#ask('counters=1\n\n', answer => parseCountersResponse(textOf(answer)));
    } catch (error) {
      if (error instanceof ConfigError || HUNG_UP.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }

  /** Sends a request and parses the answer. Overwrites both afterwards: they may hold keys. */
  async #ask<T>(request: string | SecretText, read: (answer: SecretText) => T): Promise<T> {
    const text = typeof request === 'string' ? new SecretText() : request;
    if (typeof request === 'string') text.text(request);
    const answer = new SecretText();
    try {
      await this.#exchange(text, answer);
      return read(answer);
    } finally {
      text.erase();
      answer.erase();
    }
  }

  async #exchange(request: SecretText, answer: SecretText): Promise<void> {
    checkInterfaceName(this.#name);
    const buffer = newSecret(RECEIVED_AT_ONCE);
    const asked = identityOf(this.#path);
    let socket: Socket | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        let newlines = 0;
        const callback = (count: number): boolean => {
          const bytes = buffer.subarray(0, count);
          answer.append(bytes);
          if (bytes.at(-1) !== NEWLINE) newlines = 0;
          else newlines = bytes.at(-2) === NEWLINE ? 2 : count === 1 ? newlines + 1 : 1;
          bytes.fill(0);
          if (newlines >= 2) {
            socket?.end();
            resolve();
          }
          return true;
        };
        // one buffer that is erased: Node would free its own buffers with keys in them
        socket = net().connect({ path: this.#path, onread: { buffer, callback } });
        socket.setTimeout(ANSWER_TIMEOUT_MS, () =>
          socket?.destroy(codedError('ETIMEDOUT', `${this.#name} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`)),
        );
        socket.on('connect', () => {
          for (const piece of request.pieces()) socket?.write(piece);
        });
        // other daemons close the connection on unknown requests; the answer's parser reports what
        // is missing
        socket.on('end', resolve);
        socket.on('close', resolve);
        socket.on('error', (error: NodeJS.ErrnoException) => reject(this.#explain(error, asked)));
        socket.resume();
      });
    } finally {
      // stop before the memory of the request is reused
      socket?.destroy();
    }
  }

  #explain(error: NodeJS.ErrnoException, asked: string | undefined): Error {
    const name = this.#name;
    switch (error.code) {
      case 'ECONNREFUSED':
        removeStale(this.#path, asked);
        return codedError(
          'ENODEV',
          `the program behind ${this.#path} is gone; start it again with: wireguard-ts ${name}`,
        );
      case 'ENOENT':
        return codedError(
          'ENODEV',
          existsSync(`/sys/class/net/${name}`)
            ? `${name} is not a userspace WireGuard (there is no ${this.#path})`
            : `there is no interface \`${name}' (nor ${this.#path})`,
        );
      case 'EACCES':
        return codedError('EACCES', `${this.#path} may not be opened: root is needed`);
      default:
        return error;
    }
  }
}

function textOf(answer: SecretText): string {
  return [...answer.pieces()].map(piece => latin1(piece)).join('');
}

/**
 * Returns the names of all userspace interfaces whose socket answers, in the order of the folder,
 * as wg does.
 */
export async function listInterfaces(): Promise<string[]> {
  const names = socketNames();
  const states = await Promise.all(names.map(socketState));
  return names.filter((_, i) => states[i] === 'answers');
}

/** Lists in the order of readdir(3); Node's readdirSync would sort. */
function socketNames(): string[] {
  const names: string[] = [];
  if (!existsSync(FOLDER)) return names;
  const folder = opendirSync(FOLDER);
  try {
    for (let entry = folder.readSync(); entry; entry = folder.readSync())
      if (entry.name.endsWith(SUFFIX) && isInterfaceName(entry.name.slice(0, -SUFFIX.length)))
        names.push(entry.name.slice(0, -SUFFIX.length));
  } finally {
    folder.closeSync();
  }
  return names;
}

/**
 * Reports whether a program answers at the socket of a name. A socket that we may not open counts
 * as answering. Removes a stale one.
 */
export function socketState(name: string): Promise<'answers' | 'stale' | 'none'> {
  checkInterfaceName(name);
  const path = uapiSocketPath(name);
  const before = identityOf(path);
  return new Promise(resolve => {
    const socket = net().connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve('answers');
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EACCES') resolve('answers');
      else resolve(code === 'ECONNREFUSED' && removeStale(path, before) ? 'stale' : 'none');
    });
  });
}

/**
 * Removes the socket that a dead program left. A plain file of that name also refuses connections,
 * but is not removed; nor is a socket that has replaced the one which refused us.
 * @param refused its identity
 * @returns false if it is not a socket
 */
function removeStale(path: string, refused: string | undefined): boolean {
  try {
    const there = statSync(path, { bigint: true });
    if (!there.isSocket()) return false;
    if (identity(there) === refused) unlinkSync(path);
  } catch {
    // already removed, or not permitted
  }
  return true;
}

/** Tells files apart; the time tells one from a later one that got the same inode. */
function identity({ ino, ctimeNs }: BigIntStats): string {
  return `${ino} ${ctimeNs}`;
}

/** Returns which file is at a path. */
function identityOf(path: string): string | undefined {
  try {
    return identity(statSync(path, { bigint: true }));
  } catch {
    return undefined; // connecting tells what is wrong with the path
  }
}

/**
 * Loads node:net only if there is a socket. Loading takes a fifth of the run time of `wgts show`
 * without one.
 */
function net(): typeof import('node:net') {
  return process.getBuiltinModule('node:net');
}
