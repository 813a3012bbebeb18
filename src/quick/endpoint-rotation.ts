/**
 * Rotates through the addresses of a peer's name while the peer is silent. If two checks in a row
 * find the peer silent at the same address, the second moves to the address that was tried the
 * longest ago. So each address is used for one interval, regardless of the order in which the name
 * server returns the addresses.
 */
import { formatEndpoint, sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DueEndpoint } from './stale-endpoints.ts';

interface RotationState {
  /** The endpoint at the last check, and the counters at that time. */
  at?: Uint8Array;
  rxBytes: number;
  txBytes: number;
  /** The sequence number of the last attempt with each address. */
  readonly tried: Map<string, number>;
}

export class EndpointRotation {
  readonly #peers = new Map<string, RotationState>();
  #count = 0;

  /**
   * Chooses the address to try now.
   * @param addresses the addresses of the name that have a route, in order of preference
   * @returns undefined to keep the current endpoint
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

  /**
   * Reports whether this address was used for one interval, without an answer to the packets sent
   * to it.
   */
  #wasTried(round: RotationState, due: DueEndpoint, current: Uint8Array): boolean {
    const { rxBytes = 0, txBytes = 0 } = due;
    if (!round.at || !sameFarSide(round.at, current) || rxBytes > round.rxBytes) {
      this.#note(round, due, current);
      return false;
    }
    // A peer that once answered at this address and is sent no traffic is idle.
    return !due.wasHeard || txBytes > round.txBytes;
  }

  #note(round: RotationState, { rxBytes = 0, txBytes = 0 }: DueEndpoint, at: Uint8Array): void {
    Object.assign(round, { at, rxBytes, txBytes });
    round.tried.set(formatEndpoint(at), ++this.#count);
  }

  #roundOf({ publicKey }: DueEndpoint): RotationState {
    const key = formatKeyHex(publicKey);
    const round = this.#peers.get(key) ?? { rxBytes: 0, txBytes: 0, tried: new Map() };
    this.#peers.set(key, round);
    return round;
  }
}

/** Returns the address that was never tried or was tried the longest ago; the first of several. */
function leastTried(addresses: readonly Uint8Array[], tried: Map<string, number>): Uint8Array | undefined {
  const at = (address: Uint8Array) => tried.get(formatEndpoint(address)) ?? 0;
  let best: Uint8Array | undefined;
  for (const address of addresses) if (!best || at(address) < at(best)) best = address;
  return best;
}
