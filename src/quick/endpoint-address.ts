/** The part of an endpoint that a route lookup needs. */
import { ENDPOINT_ADDRESS, ENDPOINT_FAMILY, ENDPOINT_SCOPE } from '../base/endpoint.ts';

export interface EndpointAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The index of the link of a link-local address, otherwise 0. */
  readonly scope: number;
}

export function endpointAddress(endpoint: Uint8Array): EndpointAddress {
  const size = endpoint[ENDPOINT_FAMILY] === 4 ? 4 : 16;
  return {
    address: endpoint.slice(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + size),
    scope: new DataView(endpoint.buffer, endpoint.byteOffset).getUint32(ENDPOINT_SCOPE, true),
  };
}
