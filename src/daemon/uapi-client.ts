/**
 * The client's side of the control socket (wireguard-tools ipc-uapi.h): one operation on a connection of its own. Speaks to every userspace
 * WireGuard; `counters` only to this one.
 */
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { ConfigError } from '../config/errors.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { parseCountersResponse, parseGetResponse, parseSetResponse } from '../config/uapi-get.ts';
import { formatSetRequest } from '../config/uapi-set.ts';
import type { Zones } from '../config/zones.ts';
import { opensslCrypto } from '../crypto/openssl.ts';
import { uapiSocketPath } from './uapi-server.ts';

const FOLDER = '/var/run/wireguard';
/** A device that says nothing for so long is stuck. */
const PATIENCE = 10_000;

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
    return { ...status, publicKey: opensslCrypto.publicKey(status.privateKey) };
  }

  /** @throws ConfigError `refused` with the device's errno */
  async set(config: DeviceConfig): Promise<void> {
    parseSetResponse(await this.#request(formatSetRequest(config, this.#zones)));
  }

  /** undefined when the daemon keeps none. */
  async counters(): Promise<Record<string, number> | undefined> {
    try {
      return parseCountersResponse(await this.#request('counters=1\n\n'));
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }

  #request(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#path);
      const chunks: string[] = [];
      socket.setEncoding('utf8');
      socket.setTimeout(PATIENCE, () =>
        socket.destroy(new Error(`${this.#name} did not answer within ${PATIENCE / 1000} s`)),
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
    switch (error.code) {
      case 'ENOENT':
      case 'ECONNREFUSED': {
        const message = `there is no userspace interface \`${this.#name}' here (nobody answers at ${this.#path}); for one of the kernel's use wg`;
        return Object.assign(new Error(message), { code: 'ENODEV' });
      }
      case 'EACCES':
        return Object.assign(new Error(`${this.#path} may not be opened: root is needed`), { code: 'EACCES' });
      default:
        return error;
    }
  }
}

/** Names of all userspace interfaces whose socket somebody answers at. */
export async function listInterfaces(): Promise<string[]> {
  let entries: string[];
  try {
    entries = readdirSync(FOLDER);
  } catch {
    return [];
  }
  const names = entries.filter(entry => entry.endsWith('.sock')).map(entry => entry.slice(0, -'.sock'.length));
  const alive = await Promise.all(names.map(answers));
  return names.filter((_, i) => alive[i]);
}

function answers(name: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(uapiSocketPath(name));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // one that is there and may not be opened is there
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EACCES'));
  });
}
