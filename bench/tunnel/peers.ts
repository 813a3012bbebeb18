/** Writes configuration files with thousands of peers for one device. */
import { randomBytes } from 'node:crypto';
import { formatKeyBase64 } from '#dist/base/key.js';

export interface ManyPeers {
  readonly count: number;
  /** A file for `wg addconf`. */
  readonly text: string;
}

/**
 * Returns peers that never answer, each with three allowed-ips. Their endpoints are in
 * 198.18.0.0/15, which RFC 2544 reserves for benchmarks.
 */
export function silentPeers(count: number, keepalive: number, port: number): ManyPeers {
  const sections: string[] = [];
  for (let i = 0; i < count; i++) {
    const [high, low] = [i >> 8, i & 255];
    // Any 32 bytes are valid: a point of the curve or of its twist.
    const key = formatKeyBase64(Uint8Array.from(randomBytes(32)));
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

/** Returns peers that only initiate: they have a key and an address, but no endpoint. */
export function initiatingPeers(publicKeys: readonly Uint8Array[]): ManyPeers {
  const sections = publicKeys.map(
    (key, i) => `[Peer]\nPublicKey = ${formatKeyBase64(key)}\nAllowedIPs = 10.64.${i >> 8}.${i & 255}/32\n`,
  );
  return { count: publicKeys.length, text: sections.join('\n') };
}
