/**
 * Every parser of external text, on random and on almost valid text: it returns a result or throws
 * its documented error, and never throws anything else. WG_FUZZ_RUNS sets the number of cases,
 * WG_FUZZ_SEED replays a run.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { parseKeyBase64, parseKeyHex } from '../../src/base/key.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { parseConf } from '../../src/config/conf.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { UapiRequestParser } from '../../src/config/uapi.ts';
import { parseCountersResponse, parseGetResponse, parseSetResponse } from '../../src/config/uapi-get.ts';
import {
  parseAllowedIps,
  parseEndpointValue,
  parseFwmark,
  parseKeepalive,
  parseKeyValue,
  parsePortValue,
} from '../../src/config/values.ts';
import { parseZonedEndpoint } from '../../src/config/zones.ts';
import { check, LIMIT } from '../support/fuzz.ts';

/** Numbers, words and punctuation of valid input, and some that are invalid. */
const atom = fc.oneof(
  fc.constantFrom(
    '10.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '256.1.1.1',
    '01.2.3.4',
    '::',
    '::1',
    'fd00::8',
    'fe80::1%eth0',
    '::ffff:1.2.3.4',
    '1:2:3:4:5:6:7:8:9',
    '/',
    '/0',
    '/8',
    '/32',
    '/33',
    '/128',
    '/129',
    ':',
    '[',
    ']',
    ',',
    '+',
    '-',
    '%',
    '=',
    '\n',
    '\n\n',
    '#',
    ' ',
    '\t',
    '\r',
    '\0',
    'é',
    '😀',
    'off',
    '0',
    '1',
    '25',
    '51820',
    '65535',
    '65536',
    '4294967295',
    '4294967296',
    '0xff',
    '1e3',
    '-1',
    '99999999999999999999',
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
    'a'.repeat(64),
    '0'.repeat(64),
    'true',
    'false',
    'example.com',
  ),
  fc.constantFrom(
    '[Interface]',
    '[Peer]',
    'PrivateKey',
    'ListenPort',
    'FwMark',
    'PublicKey',
    'PresharedKey',
    'AllowedIPs',
    'Endpoint',
    'PersistentKeepalive',
    'set=1',
    'get=1',
    'counters=1',
    'private_key',
    'listen_port',
    'fwmark',
    'replace_peers',
    'public_key',
    'remove',
    'update_only',
    'preshared_key',
    'endpoint',
    'persistent_keepalive_interval',
    'initiate_handshake',
    'replace_allowed_ips',
    'allowed_ip',
    'protocol_version',
    'errno',
    'last_handshake_time_sec',
    'rx_bytes',
    'tx_bytes',
  ),
  fc.string({ maxLength: 8, unit: 'binary' }),
);
const text = fc.oneof(
  fc.array(atom, { maxLength: 24 }).map(parts => parts.join('')),
  fc.string({ maxLength: 80, unit: 'binary' }),
);
const lines = fc.array(
  fc.tuple(atom, fc.constantFrom('=', ' = ', '', ':'), atom, fc.constantFrom('\n', '\n', '\n', '\r\n', ' # no\n')),
  { maxLength: 20 },
);
const document = fc.oneof(
  text,
  lines.map(parts => parts.map(line => line.join('')).join('')),
  lines.map(parts => `set=1\n${parts.map(line => line.join('')).join('')}\n`),
);

/** Fails on anything except a result or a ConfigError. */
function answers(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (error.message.length < 10 || /undefined|\[object|[^\n \p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(error.message))
      throw new Error(`no message: ${error.message}`);
  }
}

describe('on any text', () => {
  const PARSERS: Readonly<Record<string, (input: string) => unknown>> = {
    address: parseAddress,
    prefix: parsePrefix,
    endpoint: parseEndpoint,
    'zoned endpoint': parseZonedEndpoint,
    'key in base64': parseKeyBase64,
    'key in hex': parseKeyHex,
    'values of wg set': input => {
      for (const parse of [parsePortValue, parseFwmark, parseKeepalive, parseAllowedIps, parseEndpointValue])
        answers(() => parse(input));
      parseKeyValue(input, 'the key', false);
    },
  };
  test.each(Object.keys(PARSERS))(
    '%s',
    name => {
      check(text, input => answers(() => PARSERS[name]!(input)));
    },
    LIMIT,
  );

  const DOCUMENTS: Readonly<Record<string, (input: string) => unknown>> = {
    'conf file': input => parseConf(input, 'wg0.conf'),
    'answer to get': parseGetResponse,
    'answer to set': parseSetResponse,
    'answer to counters': parseCountersResponse,
  };
  test.each(Object.keys(DOCUMENTS))(
    '%s',
    name => {
      check(document, input => answers(() => DOCUMENTS[name]!(input)));
    },
    LIMIT,
  );

  test(
    'UAPI requests, split anywhere',
    () => {
      check(fc.tuple(document, fc.array(fc.nat({ max: 400 }), { maxLength: 4 })), ([input, cuts]) => {
        const whole = Buffer.from(input);
        const parser = new UapiRequestParser();
        const pieces = [0, ...cuts.map(cut => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
        for (let i = 1; i < pieces.length; i++)
          for (const request of parser.push(whole.subarray(pieces[i - 1], pieces[i])))
            expect(['get', 'set', 'counters', 'invalid']).toContain(request.kind);
      });
    },
    LIMIT,
  );
});
