/**
 * Collects the addresses by which this node reaches the API server, so that the plan gives them to
 * no other node: the configured address, the addresses that connections have reached, and the one
 * that the server says of itself. The last one matters because a Service's address is replaced by a
 * server's own (kube-proxy) after the first choice of a route.
 */
import { parseIp } from '../parse/go-text.ts';
import { isFields } from '../parse/reader.ts';

/** A cluster has few API servers; beyond this number the addresses used longest ago are dropped. */
const MOST_ADDRESSES = 16;

export class ServerAddresses {
  readonly #addresses = new Map<string, Uint8Array>();
  readonly #onChange: () => void;
  #all: readonly Uint8Array[] = [];

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** The addresses, in order of text; the same array until they change. */
  get all(): readonly Uint8Array[] {
    return this.#all;
  }

  /**
   * Adds an address, unless the text is another host name.
   * @returns whether the address is new
   */
  add(text: string | undefined): boolean {
    const address = text === undefined ? undefined : parseIp(text.replace(/^\[|\]$/g, ''));
    if (!address) return false;
    const key = address.join('.');
    const isNew = !this.#addresses.delete(key);
    this.#addresses.set(key, address);
    if (!isNew) return false;
    for (const oldest of this.#addresses.keys()) {
      if (this.#addresses.size <= MOST_ADDRESSES) break;
      this.#addresses.delete(oldest);
    }
    this.#all = [...this.#addresses].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
    this.#onChange();
    return true;
  }

  /** Adds what the server's answer to `GET /api` says (APIVersions, serverAddressByClientCIDRs). */
  addAnswer(answer: unknown): void {
    const list = isFields(answer) ? answer['serverAddressByClientCIDRs'] : undefined;
    for (const each of Array.isArray(list) ? (list as unknown[]).slice(0, MOST_ADDRESSES) : []) {
      const text = isFields(each) ? each['serverAddress'] : undefined;
      if (typeof text === 'string' && text.length < 100) this.add(text.replace(/:\d+$/, ''));
    }
  }
}
