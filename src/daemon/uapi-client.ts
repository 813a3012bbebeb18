/**
 * The client's side of the control socket (wireguard-tools ipc-uapi.h, ipc-uapi-unix.h): one operation on a connection of its own. Speaks
 * to every userspace WireGuard; `counters` only to this one. As wg does, it removes a socket that nobody answers at. Interfaces of the
 * kernel's own WireGuard have no socket, and are not seen here: src/backend puts both together.
 */

import { existsSync, opendirSync, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { codedError } from '../base/coded-error.ts';
import { ConfigError } from '../config/errors.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { parseCountersResponse, parseGetResponse, parseSetResponse } from '../config/uapi-get.ts';
import { formatSetRequest } from '../config/uapi-set.ts';
import type { Zones } from '../config/zones.ts';
import { x25519PublicKey } from '../crypto/openssl-x25519.ts';
import { checkInterfaceName, isInterfaceName } from './interface-name.ts';
import { uapiSocketPath } from './uapi-server.ts';

const FOLDER = '/var/run/wireguard';
const SUFFIX = '.sock';
/** A device that says nothing for so long is stuck. */
const PATIENCE = 10_000;
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

  /** @throws ConfigError; Error with `code` ENODEV when there is no such device, EACCES, ... */
  async get(): Promise<DeviceStatus> {
    const status = parseGetResponse(await this.#request('get=1\n\n'), this.#zones);
    if (!status.privateKey) return status;
    return { ...status, publicKey: x25519PublicKey(status.privateKey) };
  }

  /** @throws ConfigError `refused` with the device's errno */
  async set(config: DeviceConfig): Promise<void> {
    parseSetResponse(await this.#request(formatSetRequest(config, this.#zones)));
  }

  /** undefined when the daemon keeps none: another one answers with an error, or hangs up. */
  async counters(): Promise<Record<string, number> | undefined> {
    try {
      return parseCountersResponse(await this.#request('counters=1\n\n'));
    } catch (error) {
      if (error instanceof ConfigError || HUNG_UP.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }

  #request(text: string): Promise<string> {
    checkInterfaceName(this.#name);
    return new Promise((resolve, reject) => {
      const socket = connect(this.#path);
      const chunks: string[] = [];
      socket.setEncoding('utf8');
      socket.setTimeout(PATIENCE, () =>
        socket.destroy(codedError('ETIMEDOUT', `${this.#name} did not answer within ${PATIENCE / 1000} s`)),
      );
      socket.on('connect', () => socket.write(text));
      socket.on('data', (chunk: string) => {
        chunks.push(chunk);
        if (!chunk.endsWith('\n') || !chunks.slice(-2).join('').endsWith('\n\n')) return;
        socket.end();
        resolve(chunks.join(''));
      });
      // other daemons close on what they do not know; what is missing is then said by whoever reads the answer
      socket.on('end', () => resolve(chunks.join('')));
      socket.on('error', (error: NodeJS.ErrnoException) => reject(this.#explain(error)));
    });
  }

  #explain(error: NodeJS.ErrnoException): Error {
    const name = this.#name;
    switch (error.code) {
      case 'ECONNREFUSED':
        removeStale(this.#path);
        return codedError(
          'ENODEV',
          `the program behind ${this.#path} is gone; start it again with: wireguard-ts ${name}`,
        );
      case 'ENOENT':
        return codedError(
          'ENODEV',
          existsSync(`/sys/class/net/${name}`)
            ? `${name} is no userspace WireGuard (there is no ${this.#path})`
            : `there is no interface \`${name}' (nor ${this.#path})`,
        );
      case 'EACCES':
        return codedError('EACCES', `${this.#path} may not be opened: root is needed`);
      default:
        return error;
    }
  }
}

/** Names of all userspace interfaces whose socket somebody answers at, in the order of the folder, which is wg's. */
export async function listInterfaces(): Promise<string[]> {
  const names = socketNames();
  const states = await Promise.all(names.map(socketState));
  return names.filter((_, i) => states[i] === 'answers');
}

/** readdir(3) itself: node's readdirSync sorts. */
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

/** Whether somebody answers at a name's socket; one that is there and may not be opened is there. A stale one is removed. */
export function socketState(name: string): Promise<'answers' | 'stale' | 'none'> {
  checkInterfaceName(name);
  const path = uapiSocketPath(name);
  return new Promise(resolve => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve('answers');
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EACCES') resolve('answers');
      else resolve(code === 'ECONNREFUSED' && removeStale(path) ? 'stale' : 'none');
    });
  });
}

/**
 * The program has died and left its socket. A plain file of that name also refuses connections, and is not ours to remove.
 * @returns whether it was a socket
 */
function removeStale(path: string): boolean {
  try {
    if (!statSync(path).isSocket()) return false;
    unlinkSync(path);
  } catch {
    // somebody else removed it, or we may not
  }
  return true;
}
