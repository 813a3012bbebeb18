/**
 * wireguard-ts as a library: a WireGuard device without sockets, clock or root (Engine), the ciphers and primitives to give it,
 * the ports and adapters with which the daemon drives it, and devices of whoever runs them behind one interface (SystemBackend).
 * What is not exported here may change in any version.
 */
export type { BackendKind, WireguardBackend } from './backend/backend.ts';
export { EngineBackend } from './backend/engine.ts';
export { KernelBackend } from './backend/kernel.ts';
export { SystemBackend } from './backend/system.ts';
export { type BackendName, type Taken, takeBackend } from './backend/take.ts';
export { UserspaceBackend } from './backend/userspace.ts';
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
export { systemNetlink } from './io/netlink.ts';
export type { Clock, OpenUdp, Tun, TunStatus, Udp } from './io/ports.ts';
export { openDgramUdp } from './io/udp-dgram.ts';
export * from './packet/batch.ts';
export type { DeviceOptions as EngineOptions } from './protocol/device.ts';
export { Engine } from './protocol/engine.ts';
export type { EngineEvent } from './protocol/output.ts';
export type { TransportCipher } from './protocol/transport-cipher.ts';
export { TwinCipher } from './protocol/transport-twin.ts';
