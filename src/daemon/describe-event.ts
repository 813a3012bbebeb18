/**
 * Describes the engine's events in the words of wireguard-go's log. Peers appear as the first and
 * last characters of their public key.
 */
import { formatKeyBase64 } from '../base/key.ts';
import type { EngineEvent } from '../protocol/output.ts';

const WORDS: Record<EngineEvent['kind'], string> = {
  'initiation-sent': 'sending handshake initiation',
  'response-sent': 'received handshake initiation, sending handshake response',
  session: 'session established',
  'handshake-given-up': 'handshake did not complete, giving up until there is something to send',
  'keys-erased': 'no new session for a long time, keys erased',
  'endpoint-changed': 'endpoint changed',
  'cookie-sent': 'under load, sending cookie reply',
  'cookie-received': 'received cookie',
};

export function describeEvent(event: EngineEvent): string {
  if (!event.publicKey) return WORDS[event.kind];
  const key = formatKeyBase64(event.publicKey);
  return `peer(${key.slice(0, 4)}…${key.slice(39, 43)}) - ${WORDS[event.kind]}`;
}
