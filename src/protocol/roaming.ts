/**
 * A peer is where its last authenticated message came from (whitepaper section 2.1; kernel socket.c, wg_socket_set_peer_endpoint),
 * and is answered from the address it spoke to. Called before what the message holds is judged.
 */
import { ENDPOINT_FAMILY, ENDPOINT_FAR_SIZE, ENDPOINT_PORT, ENDPOINT_SIZE, sameEndpoint } from '../base/endpoint.ts';
import type { Device } from './device.ts';
import type { Peer } from './peer.ts';

/** The endpoint record is at an offset; one of no family or of port 0, where nobody can be answered, says nothing and changes nothing. */
export function setEndpoint(device: Device, peer: Peer, endpoints: Uint8Array, at: number): void {
  if (sameEndpoint(peer.endpoint, 0, endpoints, at) || endpoints[at + ENDPOINT_FAMILY] === 0) return;
  if (endpoints[at + ENDPOINT_PORT] === 0 && endpoints[at + ENDPOINT_PORT + 1] === 0) return;
  // whether a local address is known is no matter of where the peer is
  const moved =
    peer.endpoint[ENDPOINT_FAMILY] !== endpoints[at + ENDPOINT_FAMILY] ||
    !sameEndpoint(peer.endpoint, ENDPOINT_PORT, endpoints, at + ENDPOINT_PORT, ENDPOINT_FAR_SIZE - ENDPOINT_PORT);
  for (let i = 0; i < ENDPOINT_SIZE; i++) peer.endpoint[i] = endpoints[at + i]!;
  if (moved) device.output.event('endpoint-changed', peer);
}
