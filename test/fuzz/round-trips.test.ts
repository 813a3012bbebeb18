/**
 * Formatting and parsing round-trips for every format, on random values. WG_FUZZ_RUNS and
 * WG_FUZZ_SEED as in support/fuzz.ts.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../src/base/address.ts';
import { formatEndpoint, makeEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { formatKeyBase64, formatKeyHex, parseKeyBase64, parseKeyHex } from '../../src/base/key.ts';
import { formatPrefix, makePrefix, parsePrefix } from '../../src/base/prefix.ts';
import { formatConf, parseConf } from '../../src/config/conf.ts';
import type { DeviceConfig, DeviceStatus } from '../../src/config/model.ts';
import { UapiRequestParser } from '../../src/config/uapi.ts';
import { formatGetResponse, parseGetResponse } from '../../src/config/uapi-get.ts';
import { formatSetRequest } from '../../src/config/uapi-set.ts';
import { check, LIMIT, RUNS } from '../support/fuzz.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const address = fc.oneof(
  bytes(4),
  bytes(16),
  fc.constant(new Uint8Array(16)),
  bytes(16).map(b => b.fill(0, 2, 14)),
);
const port = fc.integer({ min: 0, max: 65535 });
const prefix = address.chain(a => fc.integer({ min: 0, max: a.length * 8 }).map(length => makePrefix(a, length)));
const endpoint = fc.tuple(address, port).map(([a, p]) => makeEndpoint(a, p));
const optional = <K extends string, T>(key: K, value: fc.Arbitrary<T>): fc.Arbitrary<Partial<Record<K, T>>> =>
  fc.option(value, { nil: undefined }).map(v => (v === undefined ? {} : ({ [key]: v } as Record<K, T>)));
const merged = (...parts: fc.Arbitrary<object>[]) => fc.tuple(...parts).map(all => Object.assign({}, ...all) as object);
const key = bytes(32).filter(k => k.some(byte => byte !== 0));
const keepalive = fc.integer({ min: 0, max: 65535 });

describe('formatting and parsing round-trip', () => {
  test(
    'addresses, prefixes, endpoints, keys',
    () => {
      check(fc.tuple(address, prefix, endpoint, bytes(32)), ([a, p, e, k]) => {
        same(parseAddress(formatAddress(a)), a);
        const read = parsePrefix(formatPrefix(p));
        same(read?.address, p.address);
        if (read?.length !== p.length) throw new Error(formatPrefix(p));
        same(parseEndpoint(formatEndpoint(e)), e);
        same(parseKeyBase64(formatKeyBase64(k)), k);
        same(parseKeyHex(formatKeyHex(k)), k);
      });
    },
    LIMIT,
  );

  const runs = Math.ceil(RUNS / 10);
  const peerStatus = merged(
    key.map(publicKey => ({ publicKey })),
    optional('presharedKey', key),
    optional('endpoint', endpoint),
    fc.record({
      lastHandshakeSeconds: fc.nat(),
      lastHandshakeNanoseconds: fc.nat({ max: 999_999_999 }),
      rxBytes: fc.maxSafeNat(),
      txBytes: fc.maxSafeNat(),
      persistentKeepalive: keepalive,
      allowedIps: fc.array(prefix, { maxLength: 4 }),
    }),
  );
  const status = merged(
    optional('privateKey', key),
    fc.record({ listenPort: port, fwmark: fc.nat(), peers: fc.array(peerStatus, { maxLength: 4 }) }),
  ) as fc.Arbitrary<DeviceStatus>;

  test(
    'a status over the UAPI and as a conf file',
    () => {
      check(
        status,
        given => {
          expect(parseGetResponse(formatGetResponse(given))).toEqual(given);
          const conf = parseConf(formatConf(given), 'x');
          expect(conf.privateKey).toEqual(given.privateKey);
          expect(conf.listenPort ?? 0).toBe(given.listenPort);
          expect(
            conf.peers.map(peer => [
              peer.publicKey,
              peer.presharedKey,
              peer.endpoint,
              peer.persistentKeepalive ?? 0,
              peer.allowedIps.map(entry => entry.prefix),
            ]),
          ).toEqual(
            given.peers.map(peer => [
              peer.publicKey,
              peer.presharedKey,
              peer.endpoint,
              peer.persistentKeepalive,
              peer.allowedIps,
            ]),
          );
        },
        runs,
      );
    },
    LIMIT,
  );

  const peerConfig = merged(
    key.map(publicKey => ({ publicKey })),
    optional('updateOnly', fc.constant(true)),
    optional('presharedKey', bytes(32)),
    optional('endpoint', endpoint),
    optional('persistentKeepalive', keepalive),
    optional('initiate', fc.constant(true)),
    optional('replaceAllowedIps', fc.constant(true)),
    optional(
      'allowedIps',
      fc.array(
        fc.oneof(
          prefix.map(p => ({ prefix: p })),
          prefix.map(p => ({ prefix: p, remove: true })),
        ),
        { minLength: 1, maxLength: 4 },
      ),
    ),
  );
  // an entry that removes a peer has no other settings
  const removed = key.map(publicKey => ({ publicKey, remove: true }));
  const config = merged(
    optional('privateKey', bytes(32)),
    optional('listenPort', port),
    optional('fwmark', fc.nat()),
    optional('replacePeers', fc.constant(true)),
    optional('peers', fc.array(fc.oneof(peerConfig, removed), { minLength: 1, maxLength: 4 })),
  ) as fc.Arbitrary<DeviceConfig>;

  test(
    'a set request',
    () => {
      check(
        config,
        given => {
          const [request, ...more] = [...new UapiRequestParser().push(Buffer.from(formatSetRequest(given)))];
          expect(more).toEqual([]);
          expect(request).toMatchObject({ kind: 'set', config: given });
        },
        runs,
      );
    },
    LIMIT,
  );
});

/** Like toEqual, but much faster. */
function same(a: Uint8Array | undefined, b: Uint8Array): void {
  if (!a || Buffer.compare(a, b) !== 0) expect(a).toEqual(b);
}
