/**
 * Resolves endpoint names with the same retries as wg (wireguard-tools config.c). A name that
 * cannot be resolved yet, for example because the network is still coming up, is retried after 1 s
 * and then with growing delays of up to 20 s. wg takes the first address; the system sorts
 * addresses by RFC 6724.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, quote } from '../config/errors.ts';
import type { HostEndpoint } from '../config/values.ts';
import { parseNumericHost } from '../config/zones.ts';
import { systemZones } from '../io/zones.ts';

export interface ResolveOptions {
  /**
   * The value of WG_ENDPOINT_RESOLUTION_RETRIES: a number of retries, or `infinity`. Default: 15.
   */
  readonly retries?: string | undefined;
  /** Receives a message for each retry. */
  readonly err: (text: string) => void;
  readonly lookup?: (host: string) => Promise<Found | readonly Found[]>;
  readonly wait?: (milliseconds: number) => Promise<unknown>;
}

interface Found {
  readonly address: string;
}

const RETRIES = '15';
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 20_000;
/** Errors that a retry would not change. Node reports ENOTFOUND for EAI_NONAME and EAI_NODATA. */
const PERMANENT = /^(ENOTFOUND|EAI_FAIL|EINVAL|ENAMETOOLONG|ERR_.*)$/;

/** Resolves a name. @returns the first address. @throws ConfigError that names the endpoint */
export async function resolveEndpoint(endpoint: HostEndpoint, options: ResolveOptions): Promise<Uint8Array> {
  return (await resolveAll(endpoint, options))[0]!;
}

/**
 * Resolves a name.
 * @returns all addresses, at least one, in the system's order
 * @throws ConfigError that names the endpoint
 */
export async function resolveAll({ host, port }: HostEndpoint, options: ResolveOptions): Promise<Uint8Array[]> {
  const value = `${host}:${port}`;
  const lookup = options.lookup ?? (name => systemLookup(name, { all: true }));
  let left = parseRetries(options.retries ?? RETRIES);
  for (let wait = FIRST_WAIT; ; wait = Math.min((wait * 6) / 5, LONGEST_WAIT)) {
    let code: string;
    try {
      const found = await lookup(host);
      const addresses = [found].flat().map(({ address }) => address);
      const records = addresses.flatMap(address => parseNumericHost(address, port, systemZones) ?? []);
      if (records.length > 0) return records;
      const shown = quote(addresses.join(' '));
      throw new ConfigError('bad-value', `endpoint ${quote(value)}: its address ${shown} cannot be used here`, {
        value,
      });
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      code = (error as NodeJS.ErrnoException).code ?? String(error);
    }
    if (PERMANENT.test(code) || left-- <= 0)
      throw new ConfigError(
        'bad-value',
        `endpoint ${quote(value)}: the name cannot be resolved (${code}): check the name, and that a name server answers`,
        { value },
      );
    options.err(`${code}: ${quote(value)}. Trying again in ${(wait / 1000).toFixed(2)} seconds...\n`);
    await (options.wait ?? sleep)(wait);
  }
}

function parseRetries(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  if (/^[0-9]{1,10}$/.test(text) && Number(text) < 2 ** 31) return Number(text);
  throw new ConfigError(
    'bad-value',
    `WG_ENDPOINT_RESOLUTION_RETRIES is ${quote(text)}: it must be "infinity" or a number, such as 15`,
    { value: text },
  );
}
