/**
 * Devices on a Linux machine: run one in this process ({@link makeBackend}, {@link DeviceLoop}), or
 * read and change those that the kernel and other programs run ({@link SystemBackend}). This part
 * of the library uses Node, and the addon if there is one. `examples/device.mjs` and
 * `examples/status.mjs` use it.
 *
 * @module wireguard-ts/device
 */
export type { BackendKind, WireguardBackend } from '../backend/backend.ts';
export {
  type BackendChoice,
  type Taken,
  type TakenKernel,
  type TakenUserspace,
  type TakeOptions,
  takeBackend,
} from '../backend/choose.ts';
export { EngineBackend } from '../backend/engine.ts';
export { KernelBackend } from '../backend/kernel.ts';
export { SystemBackend } from '../backend/system.ts';
export { UserspaceBackend } from '../backend/userspace.ts';
export type { Prefix } from '../base/prefix.ts';
export type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
export type { Zones } from '../config/zones.ts';
export { opensslCrypto } from '../crypto/node/openssl.ts';
export { opensslPacketAead } from '../crypto/node/openssl-packet-aead.ts';
export type { PacketAead, PacketKey } from '../crypto/packet-aead.ts';
export type { CryptoProvider, EphemeralJob, EphemeralKeys } from '../crypto/provider.ts';
export { type DaemonBackend, makeBackend, type UserspaceName } from '../daemon/backend.ts';
export { DeviceLoop } from '../daemon/device-loop.ts';
export type { DeviceLoopOptions } from '../daemon/device-loop-options.ts';
export type { AvoidedOffload } from '../daemon/known-kernels.ts';
export type { Log } from '../daemon/log.ts';
export type { MemoryShares } from '../daemon/memory-shares.ts';
export type { OffloadSwitch } from '../daemon/offload-switches.ts';
export { type Offloads, offloadsWithout } from '../daemon/offloads.ts';
export type { SessionEnd } from '../daemon/session-guard.ts';
export type { UapiDevice } from '../daemon/uapi-socket.ts';
export { MemoryTun, type WakeSchedule } from '../io/memory/tun.ts';
export { MemoryNetwork, type MemoryUdp } from '../io/memory/udp.ts';
export { systemNetlink } from '../io/netlink.ts';
export type { Clock, GivenTun, OpenUdp, Tun, TunStatus, Udp, Wake } from '../io/ports.ts';
export { systemClock } from '../io/system.ts';
export { openDgramUdp } from '../io/udp-dgram.ts';
export type { Link } from '../netlink/links.ts';
export type { NetlinkChannel, NetlinkPort, NetlinkReceiver } from '../netlink/port.ts';
export type { DatagramBatch, PacketBatch } from '../packet/batch.ts';
export type { Counters } from '../protocol/counters.ts';
export type { DeviceOptions as EngineOptions, KeyLog } from '../protocol/device.ts';
export { Engine } from '../protocol/engine.ts';
export { ENGINE_STATE_VERSION, type EngineState, eraseEngineState } from '../protocol/engine-state.ts';
export { checkEngineState } from '../protocol/engine-state-check.ts';
export type { EngineEvent } from '../protocol/output.ts';
export type { TransportCipher } from '../protocol/transport-cipher.ts';
