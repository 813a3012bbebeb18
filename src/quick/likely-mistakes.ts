/**
 * Finds settings that are valid but most likely mistakes, for warnings. wg and wg-quick accept
 * these settings without a message. Pure.
 */
import { sameBytes } from '../base/bytes.ts';
import { ENDPOINT_PORT } from '../base/endpoint.ts';
import { formatKeyBase64, isZeroKey, KEY_SIZE } from '../base/key.ts';
import { formatPrefix } from '../base/prefix.ts';
import type { ConfPeer } from '../config/conf.ts';
import type { QuickFile } from './file.ts';

const SHORT_KEY = 8;

/**
 * Returns one sentence for each finding. Peers are named by the first characters of their public
 * keys. Secrets never appear.
 * @param ownKey the public key of the interface, if it has a private key
 */
export function oddities({ wireguard, hooks }: QuickFile, ownKey?: Uint8Array): string[] {
  const { privateKey, peers } = wireguard;
  const findings: string[] = [];
  const mayComeFromHook = hooks.PreUp.length + hooks.PostUp.length > 0;
  if (!privateKey && !mayComeFromHook)
    findings.push('there is no PrivateKey: without one the interface cannot reach a peer (wgts genkey makes one)');
  if (privateKey && isZeroKey(privateKey))
    findings.push('PrivateKey is all zeros, which means no key (wgts genkey makes one)');
  else if (privateKey && !isClamped(privateKey))
    findings.push('PrivateKey is not of the form that genkey makes: is it a public or preshared key?');
  if (privateKey && peers.some(({ publicKey }) => sameBytes(publicKey, privateKey)))
    findings.push(
      'PrivateKey is also the PublicKey of a peer: one of them is in the wrong place, and the private key may be known',
    );
  const owners = new Map<string, string>();
  const seen = new Set<string>();
  for (const { publicKey, allowedIps, endpoint } of peers) {
    const name = shortKey(publicKey);
    if (ownKey && sameBytes(publicKey, ownKey))
      findings.push(
        `peer ${name} has the public key of this interface itself, so it is ignored: write the other side's (there, wgts show prints it)`,
      );
    if (endpoint && portOf(endpoint) === 0)
      findings.push(
        `peer ${name} has an Endpoint with port 0, which cannot receive anything: write the peer's ListenPort`,
      );
    if (isZeroKey(publicKey)) findings.push('a peer has a PublicKey of all zeros, which no peer can have');
    if (seen.has(name)) findings.push(`peer ${name} is in the file twice: the settings of its last [Peer] count`);
    seen.add(name);
    for (const { prefix, remove } of allowedIps) {
      const text = formatPrefix(prefix);
      const before = owners.get(text);
      if (remove) continue;
      if (before !== undefined && before !== name)
        findings.push(`AllowedIPs ${text} is in two peers, ${before} and ${name}: only the last, ${name}, gets it`);
      owners.set(text, name);
    }
  }
  return findings;
}

/** Returns the name of a peer in messages. */
export function shortKey(publicKey: Uint8Array): string {
  return `${formatKeyBase64(publicKey).slice(0, SHORT_KEY)}...`;
}

function portOf(endpoint: NonNullable<ConfPeer['endpoint']>): number {
  if (!(endpoint instanceof Uint8Array)) return endpoint.port;
  return (endpoint[ENDPOINT_PORT]! << 8) | endpoint[ENDPOINT_PORT + 1]!;
}

/** Compares without a copy of the key, because the key is secret. */
function isClamped(key: Uint8Array): boolean {
  return (key[0]! & 7) === 0 && (key[KEY_SIZE - 1]! & 0xc0) === 0x40;
}
