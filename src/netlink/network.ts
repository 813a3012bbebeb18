/**
 * Links, addresses, routes and rules, all over one socket. They are those of the network namespace
 * in which the socket was opened.
 */
import { Addresses } from './addresses.ts';
import { type NetworkEvent, type Watch, type Watched, watchNetwork } from './events.ts';
import { Links } from './links.ts';
import { NETLINK_ROUTE, type NetlinkPort } from './port.ts';
import { Routes } from './routes.ts';
import { Rules } from './rules.ts';
import { NetlinkSocket } from './socket.ts';

export class Network {
  readonly links: Links;
  readonly addresses: Addresses;
  readonly routes: Routes;
  readonly rules: Rules;
  readonly #port: NetlinkPort;
  readonly #socket: NetlinkSocket;

  /** @throws NetlinkError */
  constructor(port: NetlinkPort) {
    this.#port = port;
    this.#socket = new NetlinkSocket(port, NETLINK_ROUTE);
    this.links = new Links(this.#socket);
    this.addresses = new Addresses(this.#socket);
    this.routes = new Routes(this.#socket);
    this.rules = new Rules(this.#socket);
  }

  /** Watches changes over a separate socket, which the caller closes separately. */
  watch(what: readonly Watched[], onEvent: (event: NetworkEvent) => void, onEnd?: (error: Error) => void): Watch {
    return watchNetwork(this.#port, what, onEvent, onEnd);
  }

  /** Closes the socket and rejects pending requests. Idempotent. */
  close(): void {
    this.#socket.close();
  }
}
