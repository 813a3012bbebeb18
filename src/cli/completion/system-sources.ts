/**
 * Looks up completion candidates on this machine. Tab must not print errors, so sources that cannot
 * be read (missing rights, or a device that does not answer) yield no candidates.
 */
import { readdirSync } from 'node:fs';
import { formatKeyBase64 } from '../../base/key.ts';
import { formatPrefix } from '../../base/prefix.ts';
import { formatZonedEndpoint } from '../../config/zones.ts';
import { systemZones } from '../../io/zones.ts';
import { type Terminal, useBackend } from '../terminal.ts';
import type { Candidate, CompletionSources } from './candidates.ts';

const FOLDER = '/etc/wireguard';
/** A short limit, because a person waits for the Tab key. */
const PATIENCE_MS = 1000;

export function systemSources(terminal: Terminal): CompletionSources {
  return {
    interfaces: () => quickly(useBackend(terminal, backend => backend.list())),
    configs: async () => {
      try {
        return readdirSync(FOLDER).flatMap(name => /^(.+)\.conf$/.exec(name)?.[1] ?? []);
      } catch {
        return [];
      }
    },
    peers: name =>
      quickly(
        useBackend(terminal, async backend =>
          (await backend.get(name)).peers.map(
            ({ publicKey, endpoint, allowedIps }): Candidate => ({
              value: formatKeyBase64(publicKey),
              text: [
                ...allowedIps.slice(0, 2).map(prefix => formatPrefix(prefix)),
                ...(endpoint ? [`at ${formatZonedEndpoint(endpoint, systemZones)}`] : []),
              ].join(' '),
            }),
          ),
        ),
      ),
  };
}

async function quickly<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly T[]>(resolve => {
    timer = setTimeout(resolve, PATIENCE_MS, []);
  });
  try {
    return await Promise.race([answer, late]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}
