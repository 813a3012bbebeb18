/**
 * The protocol as one class without I/O: {@link Engine}, the ciphers that it runs on, the batches
 * that it reads and writes, and the values in a configuration. Nothing here loads the addon or a
 * Node module, so it runs wherever JavaScript does. `examples/two-engines.mjs` uses it.
 *
 * @module wireguard-ts/engine
 */
export { formatAddress, parseAddress } from '../base/address.ts';
export { ENDPOINT_SIZE, formatEndpoint, makeEndpoint, parseEndpoint } from '../base/endpoint.ts';
export { formatKeyBase64, formatKeyHex, parseKeyBase64, parseKeyHex } from '../base/key.ts';
export { formatPrefix, makePrefix, type Prefix, parsePrefix } from '../base/prefix.ts';
export type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
export { nobleCrypto } from '../crypto/noble.ts';
export { noblePacketAead } from '../crypto/noble-packet-aead.ts';
export type { PacketAead, PacketKey } from '../crypto/packet-aead.ts';
export type { CryptoProvider, EphemeralJob, EphemeralKeys } from '../crypto/provider.ts';
export {
  DATAGRAM_ERROR,
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  DATAGRAM_TOS,
  type DatagramBatch,
  makeDatagramBatch,
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADER_SIZE,
  VNET_HEADROOM,
} from '../packet/batch.ts';
export type { Counters } from '../protocol/counters.ts';
export type { DeviceOptions as EngineOptions, KeyLog } from '../protocol/device.ts';
export { Engine } from '../protocol/engine.ts';
export { ENGINE_STATE_VERSION, type EngineState, eraseEngineState } from '../protocol/engine-state.ts';
export { checkEngineState } from '../protocol/engine-state-check.ts';
export type { EngineEvent } from '../protocol/output.ts';
export type { TransportCipher } from '../protocol/transport-cipher.ts';
export { TwinCipher } from '../protocol/transport-twin.ts';
