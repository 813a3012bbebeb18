/**
 * Follows the names of silent peers: asks for them again, and tells the device where to try next. Each name by itself: one whose server is slow holds
 * no other up, one that is not found changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatEndpoint, sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DeviceStatus } from '../config/model.ts';
import type { HostEndpoint } from '../config/values.ts';
import type { QuickFile } from '../quick/file.ts';
import { reachable } from '../quick/reachable.ts';
import { Rounds } from '../quick/rounds.ts';
import { type DueEndpoint, dueEndpoints, movedBack, movedTo } from '../quick/watch.ts';
import type { Machine } from './machine.ts';

export interface FollowerOptions {
  readonly machine: Machine;
  readonly file: QuickFile;
  /** Returns all addresses of a name, in the order of preference. */
  readonly resolve: (endpoint: HostEndpoint) => Promise<readonly Uint8Array[]>;
  /** Unix time, seconds. */
  readonly now: () => number;
  /** Ends the work. */
  readonly signal: AbortSignal;
}

interface Answer {
  readonly due: DueEndpoint;
  /** In the order of preference. */
  readonly addresses: readonly Uint8Array[];
}

/** For answers that come together to be one look at the device. */
const ANSWER_PAUSE_MS = 50;

export class Follower {
  readonly #options: FollowerOptions;
  readonly #onError: (error: unknown) => void;
  readonly #rounds = new Rounds();
  /** Peers whose names are being asked for. */
  readonly #asking = new Set<string>();
  #arrived: Answer[] = [];
  #isWorking = false;
  #isClosed = false;
  /** Peers that answered in the instant in which they were sent elsewhere, until they are heard again: what they had received then. */
  readonly #unsettled = new Map<string, number>();
  /** What was said of each endpoint since it was silent: once is enough, for a peer that is away for weeks too. */
  readonly #said = new Map<string, Set<string>>();

  /** @param onError hears of what is no fault of a name's: the device or the kernel cannot be asked */
  constructor(options: FollowerOptions, onError: (error: unknown) => void) {
    this.#options = options;
    this.#onError = onError;
  }

  /** Asks for the names of those that are silent now; what is done with the answers is done when they come. */
  look(status: DeviceStatus): void {
    const silent = this.#silentOf(status);
    const names = new Set(silent.map(describe));
    for (const name of this.#said.keys()) if (!names.has(name)) this.#said.delete(name);
    for (const due of silent) if (!this.#asking.has(formatKeyHex(due.publicKey))) void this.#ask(due);
  }

  /** Answers that come later are not listened to. Idempotent. */
  close(): void {
    this.#isClosed = true;
  }

  async #ask(due: DueEndpoint): Promise<void> {
    const key = formatKeyHex(due.publicKey);
    this.#asking.add(key);
    try {
      const addresses = await this.#options.resolve(due.endpoint);
      this.#arrived.push({ due, addresses });
      if (!this.#isWorking) void this.#work();
    } catch (error) {
      this.#warn(due, (error as Error).message);
    } finally {
      this.#asking.delete(key);
    }
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    try {
      while (this.#arrived.length > 0) {
        await sleep(ANSWER_PAUSE_MS);
        const answers = this.#arrived;
        this.#arrived = [];
        if (this.#isOver()) return;
        await this.#tryNext(answers);
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /** What is not silent any more, or is somewhere else than when its name was asked for, is left where it is. */
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
        if (!change || this.#isOver()) continue;
        await machine.devices.configure(name, change);
        tried.push({ due, addresses, next });
      } catch (error) {
        this.#warn(due, (error as Error).message);
      }
    }
    if (tried.length > 0) await this.#lookBack(tried);
  }

  /** A handshake may have come between the look at the device and the change: that peer is where it was. */
  async #lookBack(tried: readonly (Answer & { readonly next: Uint8Array })[]): Promise<void> {
    const { machine, file } = this.#options;
    const status = await machine.devices.status(file.name);
    for (const { due, addresses, next } of tried) {
      const back = status && movedBack(due, next, status);
      if (!back) {
        this.#tell(due, next, addresses);
        continue;
      }
      // which of the addresses it answered at is not certain: it is heard there, or tried on
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

  #tell(due: DueEndpoint, next: Uint8Array, addresses: readonly Uint8Array[]): void {
    const { current } = due;
    const isRound = current && addresses.some(address => sameFarSide(address, current));
    const what = isRound ? `is silent at ${formatEndpoint(current)}: trying ${formatEndpoint(next)}` : 'has moved';
    // to where it was before is worth a word, round and round is not
    if (!isRound || this.#isNew(due, what)) this.#options.machine.say(`${describe(due)} ${what}`);
  }

  #isOver(): boolean {
    return this.#isClosed || this.#options.signal.aborted;
  }

  #warn(due: DueEndpoint, message: string): void {
    if (!this.#isOver() && this.#isNew(due, message)) this.#options.machine.warn(message);
  }

  #isNew(due: DueEndpoint, text: string): boolean {
    const said = this.#said.get(describe(due)) ?? new Set();
    this.#said.set(describe(due), said);
    return !said.has(text) && said.add(text).size > 0;
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
