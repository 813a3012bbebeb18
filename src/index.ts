/**
 * wireguard-ts as a library: a WireGuard device without sockets, clock or root (Engine), the ciphers and primitives to give it,
 * and the ports and adapters with which the daemon drives it. What is not exported here may change in any version.
 */
export { formatAddress, parseAddress } from './base/address.ts';
export { ENDPOINT_SIZE, formatEndpoint, makeEndpoint, parseEndpoint } from './base/endpoint.ts';
export { formatKeyBase64, formatKeyHex, parseKeyBase64, parseKeyHex } from './base/key.ts';
export { formatPrefix, makePrefix, type Prefix, parsePrefix } from './base/prefix.ts';
export { ConfigError } from './config/errors.ts';
export type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from './config/model.ts';
export { nobleCrypto } from './crypto/noble.ts';
export { noblePacketAead } from './crypto/noble-packet-aead.ts';
export { opensslCrypto } from './crypto/openssl.ts';
export { opensslPacketAead } from './crypto/openssl-packet-aead.ts';
export type { PacketAead } from './crypto/packet-aead.ts';
export type { CryptoProvider } from './crypto/provider.ts';
export { DeviceLoop, type DeviceLoopOptions } from './daemon/device-loop.ts';
export { systemClock } from './io/clock.ts';
export { MemoryTun } from './io/memory/tun.ts';
export { MemoryNetwork, type MemoryUdp } from './io/memory/udp.ts';
export type { Clock, OpenUdp, Tun, TunStatus, Udp } from './io/ports.ts';
export { openDgramUdp } from './io/udp-dgram.ts';
export * from './packet/batch.ts';
export type { DeviceOptions as EngineOptions } from './protocol/device.ts';
export { Engine } from './protocol/engine.ts';
export type { EngineEvent } from './protocol/output.ts';
export type { TransportCipher } from './protocol/transport-cipher.ts';
export { TwinCipher } from './protocol/transport-twin.ts';
