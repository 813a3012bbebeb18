/**
 * Who moves the bytes in userspace. `native`: sockets, splitting, sealing and merging in the addon. `pure`: all of that in TypeScript over
 * node:dgram and node:crypto, with the addon for nothing but opening the TUN. `auto` takes native wherever the addon can do it.
 * Whether it is userspace at all is decided before (src/backend/take.ts).
 */
import { createNativeCrypto } from '../crypto/native.ts';
import { opensslCrypto } from '../crypto/openssl.ts';
import { opensslPacketAead } from '../crypto/openssl-packet-aead.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { nativeBinding } from '../io/native-binding.ts';
import { createNativeCipher } from '../io/native-cipher.ts';
import type { OpenUdp, Tun } from '../io/ports.ts';
import { openTun } from '../io/tun.ts';
import { openNativeUdp } from '../io/udp.ts';
import { openDgramUdp } from '../io/udp-dgram.ts';
import type { TransportCipher } from '../protocol/transport-cipher.ts';
import { TwinCipher } from '../protocol/transport-twin.ts';
import type { Offloads } from './offloads.ts';

export type UserspaceName = 'auto' | 'native' | 'pure';

export interface Backend {
  /** For people: which, and why. */
  readonly description: string;
  readonly crypto: CryptoProvider;
  readonly cipher: TransportCipher;
  /** Another one of the same kind, with keys of its own. */
  makeCipher(): TransportCipher;
  openTun(name: string, adopt: number | undefined, mtu: number): Tun;
  readonly openUdp: OpenUdp;
}

/**
 * @param aead an AEAD provider by name, or undefined for the fastest
 * @throws Error that says what is missing
 */
export function makeBackend(name: UserspaceName, offloads: Offloads, aead?: string): Backend {
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
