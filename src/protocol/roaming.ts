/**
 * Roaming: the source of a peer's last authenticated message becomes its endpoint, and answers
 * leave from the address it sent to (whitepaper section 2.1; kernel socket.c,
 * wg_socket_set_peer_endpoint). Called before the message's content is checked.
 */
import { ENDPOINT_FAMILY, ENDPOINT_FAR_SIZE, ENDPOINT_PORT, ENDPOINT_SIZE, sameEndpoint } from '../base/endpoint.ts';
import type { Device } from './device.ts';
import type { Peer } from './peer.ts';

/**
 * Sets a peer's endpoint from the record at an offset. Ignores a record without family or with port
 * 0, which cannot be answered.
 */
export function setEndpoint(device: Device, peer: Peer, endpoints: Uint8Array, at: number): void {
  if (sameEndpoint(peer.endpoint, 0, endpoints, at) || endpoints[at + ENDPOINT_FAMILY] === 0) return;
  if (endpoints[at + ENDPOINT_PORT] === 0 && endpoints[at + ENDPOINT_PORT + 1] === 0) return;
  // compare the remote address only: ENDPOINT_HAS_LOCAL describes our side
  const moved =
    peer.endpoint[ENDPOINT_FAMILY] !== endpoints[at + ENDPOINT_FAMILY] ||
    !sameEndpoint(peer.endpoint, ENDPOINT_PORT, endpoints, at + ENDPOINT_PORT, ENDPOINT_FAR_SIZE - ENDPOINT_PORT);
  for (let i = 0; i < ENDPOINT_SIZE; i++) peer.endpoint[i] = endpoints[at + i]!;
  if (moved) device.output.event('endpoint-changed', peer);
}
