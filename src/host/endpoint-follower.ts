/**
 * Follows the host names of silent peers. Resolves the names again, and gives the device the next
 * address to try. Each name is independent: a slow name server delays no other name, and a name
 * that cannot be resolved changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatEndpoint, sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DeviceStatus } from '../config/model.ts';
import type { HostEndpoint } from '../config/values.ts';
import { EndpointRotation } from '../quick/endpoint-rotation.ts';
import type { QuickFile } from '../quick/file.ts';
import { reachable } from '../quick/reachable.ts';
import { type DueEndpoint, dueEndpoints, movedBack, movedTo } from '../quick/stale-endpoints.ts';
import type { Machine } from './machine.ts';

export interface EndpointFollowerOptions {
  readonly machine: Machine;
  readonly file: QuickFile;
  /** Returns all addresses of a name, the preferred one first. */
  readonly resolve: (endpoint: HostEndpoint) => Promise<readonly Uint8Array[]>;
  /** Unix time, seconds. */
  readonly now: () => number;
  /** Ends the work when it aborts. */
  readonly signal: AbortSignal;
}

interface Answer {
  readonly due: DueEndpoint;
  /** All addresses of the name, the preferred one first. */
  readonly addresses: readonly Uint8Array[];
}

/** How long to collect answers, so that one request to the device serves several of them. */
const ANSWER_PAUSE_MS = 50;

export class EndpointFollower {
  readonly #options: EndpointFollowerOptions;
  readonly #onError: (error: unknown) => void;
  readonly #rounds = new EndpointRotation();
  /** Peers whose names are being resolved. */
  readonly #resolving = new Set<string>();
  #arrived: Answer[] = [];
  #isWorking = false;
  #isClosed = false;
  /**
   * Peers that answered at the moment when their endpoint was changed, with their rxBytes at that
   * time. They are kept until they are heard again.
   */
  readonly #unsettled = new Map<string, number>();
  /**
   * The messages already logged about each silent endpoint. Each message is logged once, even if a
   * peer is away for weeks.
   */
  readonly #logged = new Map<string, Set<string>>();

  /**
   * Creates a follower.
   * @param onError receives errors of the device or the kernel, not of name resolution
   */
  constructor(options: EndpointFollowerOptions, onError: (error: unknown) => void) {
    this.#options = options;
    this.#onError = onError;
  }

  /** Resolves the names of the peers that are silent now. Handles the answers when they arrive. */
  look(status: DeviceStatus): void {
    const silent = this.#silentOf(status);
    const names = new Set(silent.map(describe));
    for (const name of this.#logged.keys()) if (!names.has(name)) this.#logged.delete(name);
    for (const due of silent) if (!this.#resolving.has(formatKeyHex(due.publicKey))) void this.#resolve(due);
  }

  /** Ignores later answers. Idempotent. */
  close(): void {
    this.#isClosed = true;
  }

  async #resolve(due: DueEndpoint): Promise<void> {
    const key = formatKeyHex(due.publicKey);
    this.#resolving.add(key);
    try {
      const addresses = await this.#options.resolve(due.endpoint);
      this.#arrived.push({ due, addresses });
      if (!this.#isWorking) void this.#processAnswers();
    } catch (error) {
      this.#warn(due, (error as Error).message);
    } finally {
      this.#resolving.delete(key);
    }
  }

  async #processAnswers(): Promise<void> {
    this.#isWorking = true;
    try {
      while (this.#arrived.length > 0) {
        await sleep(ANSWER_PAUSE_MS);
        const answers = this.#arrived;
        this.#arrived = [];
        if (this.#hasEnded()) return;
        await this.#tryNext(answers);
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /**
   * Moves silent peers to their next address. Skips peers that were heard again or have moved since
   * their name was resolved.
   */
  async #tryNext(answers: readonly Answer[]): Promise<void> {
    const { machine, file } = this.#options;
    const { name } = file;
    const [status, link] = [await machine.devices.status(name), await machine.network.links.find(name)];
    if (status) machine.devices.eraseSecrets(status);
    if (!status || !link) return;
    const silent = new Map(this.#silentOf(status).map(due => [formatKeyHex(due.publicKey), due]));
    const tried: (Answer & { readonly next: Uint8Array })[] = [];
    for (const { due: before, addresses } of answers) {
      const due = silent.get(formatKeyHex(before.publicKey));
      if (!due || !samePlace(due, before)) continue;
      try {
        const next = this.#rounds.next(due, await reachable(machine.network, addresses, status.fwmark, link.index));
        const change = next && movedTo(due, next);
        if (!change || this.#hasEnded()) continue;
        await machine.devices.configure(name, change);
        tried.push({ due, addresses, next });
      } catch (error) {
        this.#warn(due, (error as Error).message);
      }
    }
    if (tried.length > 0) await this.#undoMoves(tried);
  }

  /**
   * Undoes a move if a handshake arrived between reading the status and the change, because that
   * peer is still at the old address.
   */
  async #undoMoves(tried: readonly (Answer & { readonly next: Uint8Array })[]): Promise<void> {
    const { machine, file } = this.#options;
    const status = await machine.devices.status(file.name);
    for (const { due, addresses, next } of tried) {
      const back = status && movedBack(due, next, status);
      if (!back) {
        this.#reportMove(due, next, addresses);
        continue;
      }
      // it is unclear at which address the peer answered: either the peer is heard there, or the
      // next address is tried
      this.#unsettled.set(formatKeyHex(due.publicKey), rxBytesOf(status, due));
      await machine.devices.configure(file.name, back);
    }
  }

  #silentOf(status: DeviceStatus): DueEndpoint[] {
    const { file, now } = this.#options;
    const silent = dueEndpoints(file, status, now());
    if (this.#unsettled.size === 0) return silent;
    for (const [key, rxBytes] of this.#unsettled)
      if (status.peers.some(peer => formatKeyHex(peer.publicKey) === key && peer.rxBytes > rxBytes))
        this.#unsettled.delete(key);
    const keys = new Set([...silent.map(({ publicKey }) => formatKeyHex(publicKey)), ...this.#unsettled.keys()]);
    return dueEndpoints(file, status, Number.POSITIVE_INFINITY).filter(due => keys.has(formatKeyHex(due.publicKey)));
  }

  #reportMove(due: DueEndpoint, next: Uint8Array, addresses: readonly Uint8Array[]): void {
    const { current } = due;
    const isRound = current && addresses.some(address => sameFarSide(address, current));
    const what = isRound ? `is silent at ${formatEndpoint(current)}: trying ${formatEndpoint(next)}` : 'has moved';
    // log a move to a new address, but not each round through the same addresses
    if (!isRound || this.#isNew(due, what)) this.#options.machine.say(`${describe(due)} ${what}`);
  }

  #hasEnded(): boolean {
    return this.#isClosed || this.#options.signal.aborted;
  }

  #warn(due: DueEndpoint, message: string): void {
    if (!this.#hasEnded() && this.#isNew(due, message)) this.#options.machine.warn(message);
  }

  #isNew(due: DueEndpoint, text: string): boolean {
    const logged = this.#logged.get(describe(due)) ?? new Set();
    this.#logged.set(describe(due), logged);
    return !logged.has(text) && logged.add(text).size > 0;
  }
}

function rxBytesOf({ peers }: DeviceStatus, { publicKey }: DueEndpoint): number {
  const key = formatKeyHex(publicKey);
  return peers.find(peer => formatKeyHex(peer.publicKey) === key)?.rxBytes ?? 0;
}

function samePlace({ current: a }: DueEndpoint, { current: b }: DueEndpoint): boolean {
  return a && b ? sameFarSide(a, b) : a === b;
}

function describe({ endpoint: { host, port } }: DueEndpoint): string {
  return `${host}:${port}`;
}
