/**
 * Goes round the addresses of a peer's name while the peer stays silent: each look at it that finds it silent at the address of the look before takes
 * the one that was tried the longest ago. So every address gets the time between two looks, in whatever order the name's server gives them.
 */
import { formatEndpoint, sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DueEndpoint } from './watch.ts';

interface Round {
  /** Where the peer was thought to be at the last look, and its counters then. */
  at?: Uint8Array;
  rxBytes: number;
  txBytes: number;
  /** When each address was tried, as a count. */
  readonly tried: Map<string, number>;
}

export class Rounds {
  readonly #peers = new Map<string, Round>();
  #count = 0;

  /**
   * @param addresses those of the name that there is a way to, in the order of preference
   * @returns the address to try now; undefined to stay
   */
  next(due: DueEndpoint, addresses: readonly Uint8Array[]): Uint8Array | undefined {
    const round = this.#roundOf(due);
    const { current } = due;
    if (addresses.length === 0) return undefined;
    const isOne = current !== undefined && addresses.some(address => sameFarSide(address, current));
    if (isOne && !this.#wasTried(round, due, current)) return undefined;
    const others = addresses.filter(address => !current || !sameFarSide(address, current));
    const next = leastTried(others, round.tried);
    if (next) this.#note(round, due, next);
    return next;
  }

  /** Whether it had its time at this address, and was sent something there that nobody answered. */
  #wasTried(round: Round, due: DueEndpoint, current: Uint8Array): boolean {
    const { rxBytes = 0, txBytes = 0 } = due;
    if (!round.at || !sameFarSide(round.at, current) || rxBytes > round.rxBytes) {
      this.#note(round, due, current);
      return false;
    }
    // one that answered there once, and that nobody sends to, is idle
    return !due.wasHeard || txBytes > round.txBytes;
  }

  #note(round: Round, { rxBytes = 0, txBytes = 0 }: DueEndpoint, at: Uint8Array): void {
    Object.assign(round, { at, rxBytes, txBytes });
    round.tried.set(formatEndpoint(at), ++this.#count);
  }

  #roundOf({ publicKey }: DueEndpoint): Round {
    const key = formatKeyHex(publicKey);
    const round = this.#peers.get(key) ?? { rxBytes: 0, txBytes: 0, tried: new Map() };
    this.#peers.set(key, round);
    return round;
  }
}

/** The first of those that were tried the longest ago, or never. */
function leastTried(addresses: readonly Uint8Array[], tried: Map<string, number>): Uint8Array | undefined {
  const at = (address: Uint8Array) => tried.get(formatEndpoint(address)) ?? 0;
  let best: Uint8Array | undefined;
  for (const address of addresses) if (!best || at(address) < at(best)) best = address;
  return best;
}
