/** Thousands of peers for one device: a configuration file of them. */
import { randomBytes } from 'node:crypto';
import { asText } from './keys.ts';

export interface ManyPeers {
  readonly count: number;
  /** Text of a file for `wg addconf`. */
  readonly text: string;
}

/** Peers that will never answer, three allowed-ips each, at addresses of 198.18.0.0/15 (for benchmarks, RFC 2544). */
export function silentPeers(count: number, keepalive: number, port: number): ManyPeers {
  const sections: string[] = [];
  for (let i = 0; i < count; i++) {
    const [high, low] = [i >> 8, i & 255];
    // any 32 bytes are a point of the curve or of its twist
    const key = asText(Uint8Array.from(randomBytes(32)));
    const networks = [
      `10.${64 + (high >> 8)}.${high & 255}.${low}/32`,
      `fd00:0:${i.toString(16)}::/48`,
      `172.${16 + (high >> 4)}.${((high & 15) << 4) | (low >> 4)}.${(low & 15) << 4}/28`,
    ];
    sections.push(
      `[Peer]\nPublicKey = ${key}\nEndpoint = 198.18.${high}.${low}:${port}\nAllowedIPs = ${networks.join(', ')}\nPersistentKeepalive = ${keepalive}\n`,
    );
  }
  return { count, text: sections.join('\n') };
}

/** Peers that come to us: nothing but their keys and an address. */
export function callingPeers(publicKeys: readonly Uint8Array[]): ManyPeers {
  const sections = publicKeys.map(
    (key, i) => `[Peer]\nPublicKey = ${asText(key)}\nAllowedIPs = 10.64.${i >> 8}.${i & 255}/32\n`,
  );
  return { count: publicKeys.length, text: sections.join('\n') };
}
