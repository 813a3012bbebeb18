/** Names of endpoints to addresses, with wg's patience: a name that cannot be found yet (the network is just coming up) is tried again. */
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress } from '../base/address.ts';
import { makeEndpoint } from '../base/endpoint.ts';
import { ConfigError, quote } from '../config/errors.ts';
import type { HostEndpoint } from '../config/values.ts';

/** WG_ENDPOINT_RESOLUTION_RETRIES of wg(8). */
const RETRIES = 15;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 20_000;

/**
 * @param retries how often to try again, or `infinity`, as the variable has it
 * @throws ConfigError
 */
export async function resolveEndpoint(endpoint: HostEndpoint, retries = String(RETRIES)): Promise<Uint8Array> {
  const limit = retries === 'infinity' ? Number.POSITIVE_INFINITY : Number(retries) || 0;
  let wait = FIRST_WAIT;
  for (let attempt = 0; ; attempt++) {
    try {
      const { address } = await lookup(endpoint.host);
      const bytes = parseAddress(address);
      if (bytes) return makeEndpoint(bytes, endpoint.port);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      // only what says "not now" is worth another try
      if (code !== 'EAI_AGAIN' || attempt >= limit) {
        const value = `${endpoint.host}:${endpoint.port}`;
        throw new ConfigError('bad-value', `endpoint ${quote(value)}: the name cannot be resolved (${code})`, {
          value,
        });
      }
    }
    await sleep(wait);
    wait = Math.min(wait * 1.2, LONGEST_WAIT);
  }
}
