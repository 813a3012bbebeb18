/**
 * The whole library under one name: the protocol without sockets, clock or root ({@link Engine})
 * with its ciphers, the loop and the adapters that run it as a device ({@link DeviceLoop}), and
 * every WireGuard device of this machine behind one interface ({@link SystemBackend}).
 *
 * A program that needs less imports a subpath, which loads less: `wireguard-ts/engine`,
 * `wireguard-ts/config` and `wireguard-ts/calico-plan` need neither Node nor the addon,
 * `wireguard-ts/device` needs both. A name that no entry point exports may change in any version.
 *
 * @module wireguard-ts
 */
export type { BackendKind, WireguardBackend } from './backend/backend.ts';
export {
  type BackendChoice,
  type Taken,
  type TakenKernel,
  type TakenUserspace,
  type TakeOptions,
  takeBackend,
} from './backend/choose.ts';
export { EngineBackend } from './backend/engine.ts';
export { KernelBackend } from './backend/kernel.ts';
export { SystemBackend } from './backend/system.ts';
export { UserspaceBackend } from './backend/userspace.ts';
export { formatAddress, parseAddress } from './base/address.ts';
export { ENDPOINT_SIZE, formatEndpoint, makeEndpoint, parseEndpoint } from './base/endpoint.ts';
export { formatKeyBase64, formatKeyHex, parseKeyBase64, parseKeyHex } from './base/key.ts';
export { formatPrefix, makePrefix, type Prefix, parsePrefix } from './base/prefix.ts';
export { ConfigError, type ConfigErrorCode, type ConfigErrorPlace } from './config/errors.ts';
export type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from './config/model.ts';
export type { Zones } from './config/zones.ts';
export { nobleCrypto } from './crypto/noble.ts';
export { noblePacketAead } from './crypto/noble-packet-aead.ts';
export { opensslCrypto } from './crypto/node/openssl.ts';
export { opensslPacketAead } from './crypto/node/openssl-packet-aead.ts';
export type { PacketAead, PacketKey } from './crypto/packet-aead.ts';
export type { CryptoProvider, EphemeralJob, EphemeralKeys } from './crypto/provider.ts';
export { DeviceLoop } from './daemon/device-loop.ts';
export type { DeviceLoopOptions } from './daemon/device-loop-options.ts';
export type { Log } from './daemon/log.ts';
export type { MemoryShares } from './daemon/memory-shares.ts';
export type { SessionEnd } from './daemon/session-guard.ts';
export type { UapiDevice } from './daemon/uapi-socket.ts';
export { MemoryTun, type WakeSchedule } from './io/memory/tun.ts';
export { MemoryNetwork, type MemoryUdp } from './io/memory/udp.ts';
export { systemNetlink } from './io/netlink.ts';
export type { Clock, GivenTun, OpenUdp, Tun, TunStatus, Udp, Wake } from './io/ports.ts';
export { systemClock } from './io/system.ts';
export { openDgramUdp } from './io/udp-dgram.ts';
export type { Link } from './netlink/links.ts';
export type { NetlinkChannel, NetlinkPort, NetlinkReceiver } from './netlink/port.ts';
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
} from './packet/batch.ts';
export type { Counters } from './protocol/counters.ts';
export type { DeviceOptions as EngineOptions, KeyLog } from './protocol/device.ts';
export { Engine } from './protocol/engine.ts';
export { ENGINE_STATE_VERSION, type EngineState, eraseEngineState } from './protocol/engine-state.ts';
export { checkEngineState } from './protocol/engine-state-check.ts';
export type { EngineEvent } from './protocol/output.ts';
export type { TransportCipher } from './protocol/transport-cipher.ts';
export { TwinCipher } from './protocol/transport-twin.ts';
