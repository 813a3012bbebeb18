/**
 * Chooses the code that moves the bytes of a userspace device. `native`: the addon does sockets,
 * splitting, sealing and merging. `pure`: TypeScript does all of that over node:dgram and
 * node:crypto; the addon only opens the TUN. `auto`: native wherever the addon works. Before that,
 * src/backend/choose.ts decides whether a device runs in userspace at all.
 */
import { createNativeCrypto } from '../crypto/node/native.ts';
import { opensslCrypto } from '../crypto/node/openssl.ts';
import { opensslPacketAead } from '../crypto/node/openssl-packet-aead.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { Lanes } from '../io/lanes.ts';
import { nativeBinding } from '../io/native-binding.ts';
import { createNativeCipher, NativeCipher } from '../io/native-cipher.ts';
import { NativeLanes } from '../io/native-lanes.ts';
import type { GivenTun, OpenUdp, Tun, Udp } from '../io/ports.ts';
import { adoptTun, openTun } from '../io/tun.ts';
import { adoptNativeUdp, openNativeUdp } from '../io/udp.ts';
import { openDgramUdp } from '../io/udp-dgram.ts';
import type { TransportCipher } from '../protocol/transport-cipher.ts';
import { TwinCipher } from '../protocol/transport-twin.ts';
import type { Offloads } from './offloads.ts';

/**
 * Which code moves the bytes: the addon, TypeScript over node:dgram and node:crypto, or the addon
 * wherever it works here.
 */
export type UserspaceName = 'auto' | 'native' | 'pure';

/** The parts of a userspace device: ciphers, a TUN and UDP sockets. */
export interface DaemonBackend {
  /** The chosen code and the reason, for people. */
  readonly description: string;
  /** Primitives for handshakes. */
  readonly crypto: CryptoProvider;
  /** Seals and opens packets, for one engine. */
  readonly cipher: TransportCipher;
  /** Returns another cipher of the same kind, with separate keys. */
  makeCipher(): TransportCipher;
  /**
   * Creates or adopts a TUN device. Needs CAP_NET_ADMIN and /dev/net/tun.
   * @param name the interface's name, at most 15 bytes
   * @param adopt descriptor of an open TUN device to use instead of a new one
   * @param mtu MTU of a new device
   * @throws Error with `code`: EPERM, ENOENT without /dev/net/tun, EBUSY
   */
  openTun(name: string, adopt: number | undefined, mtu: number): Tun;
  /** Opens the UDP sockets. */
  readonly openUdp: OpenUdp;
  /**
   * Makes the threads that share a device's work.
   * @param threads with the device's own
   * @internal
   */
  readonly makeLanes?: (cipher: TransportCipher, threads: number) => Lanes | undefined;
  /**
   * Goes on with devices of another process, which then owns their descriptors. Absent if this code
   * cannot.
   * @internal
   */
  readonly adopt?: {
    tun(given: GivenTun): Tun;
    /** As from {@link Udp.given}. */
    udp(descriptors: Int32Array): Udp;
  };
}

/**
 * Chooses the code that moves the bytes of a userspace device. The addon must load even for `pure`,
 * which opens its TUN with it.
 * @param offloads the offloads to request from the kernel, from `offloadsWithout`
 * @param aead an AEAD provider of the addon by name; default: the fastest
 * @throws Error that names what is missing
 */
export function makeBackend(name: UserspaceName, offloads: Offloads, aead?: string): DaemonBackend {
  const binding = nativeBinding();
  const cipher = name === 'pure' ? undefined : createNativeCipher(binding, aead);
  if (!cipher && name === 'native')
    throw new Error('backend native: no AEAD provider of the addon passes its self-test here; use --backend=pure');
  if (cipher)
    return {
      description: `native: ${cipher.name}`,
      crypto: createNativeCrypto(binding) ?? opensslCrypto,
      cipher,
      makeCipher: () => cipher.another(),
      openTun: (device, adopt, mtu) => openTun({ binding, name: device, adopt, offloads: offloads.tun, mtu }),
      openUdp: (port, mark) => openNativeUdp(binding, port, mark, offloads.udp),
      makeLanes: (keys, threads) =>
        threads > 1 && keys instanceof NativeCipher ? new NativeLanes(binding, keys, threads) : undefined,
      adopt: {
        tun: given => adoptTun({ binding, offloads: offloads.tun }, given),
        udp: descriptors => adoptNativeUdp(binding, descriptors, offloads.udp),
      },
    };
  const twin = new TwinCipher(opensslPacketAead);
  return {
    description: `pure: ${twin.name}${name === 'auto' ? ' (no AEAD provider of the addon works here)' : ''}`,
    crypto: opensslCrypto,
    cipher: twin,
    makeCipher: () => new TwinCipher(opensslPacketAead),
    openTun: (device, adopt, mtu) => openTun({ binding, name: device, adopt, offloads: offloads.tun, mtu, twin: true }),
    openUdp: openDgramUdp,
  };
}
