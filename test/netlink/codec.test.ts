/**
 * Netlink's bytes: encoding and decoding round-trips; any other input decodes or throws
 * MalformedNetlink.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makePrefix } from '../../src/base/prefix.ts';
import { decodeAddress } from '../../src/netlink/addresses.ts';
import { Attributes, AttributeWriter } from '../../src/netlink/attributes.ts';
import { MalformedNetlink } from '../../src/netlink/errors.ts';
import { decodeEvent } from '../../src/netlink/events.ts';
import { familyNumber } from '../../src/netlink/family.ts';
import { decodeLink } from '../../src/netlink/links.ts';
import { decodeMessages, decodeVerdict, encodeMessage, type NetlinkMessage } from '../../src/netlink/message.ts';
import { decodeRoute, encodeRoute, type Route } from '../../src/netlink/route.ts';
import { decodeRule, encodeRule, type Rule } from '../../src/netlink/rules.ts';
import { encodeDevice } from '../../src/netlink/wireguard-chunks.ts';
import { decodeDevice } from '../../src/netlink/wireguard-layout.ts';
import { manyPeers } from '../kernel-vm/wireguard-checks.ts';
import { check, LIMIT, RUNS } from '../support/fuzz.ts';

const FEWER = Math.ceil(RUNS / 10);
const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const family = fc.constantFrom(4 as const, 6 as const);
const message = (type: number, body: Uint8Array): NetlinkMessage => ({ type, flags: 0, sequence: 1, port: 0, body });
/** `maybe` generates an optional field; `defined` drops the absent ones. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;

describe('encoding and decoding round-trip', () => {
  test(
    'messages, several in one datagram',
    () => {
      const one = fc.record({
        type: u16,
        flags: u16,
        sequence: u32,
        port: u32,
        body: fc.uint8Array({ maxLength: 64 }),
      });
      check(
        fc.array(one, { maxLength: 5 }),
        messages => {
          const datagram = Uint8Array.from(messages.flatMap(each => [...encodeMessage(each)]));
          expect(decodeMessages(datagram)).toEqual(messages);
        },
        FEWER,
      );
    },
    LIMIT,
  );

  test(
    'attributes of every kind, including nested ones',
    () => {
      const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter(each => !each.includes('\0'));
      check(
        fc.tuple(
          u8,
          u16,
          u32,
          fc.nat(2 ** 53 - 1),
          fc.uint8Array({ maxLength: 3000 }),
          text,
          fc.uint8Array({ maxLength: 9 }),
        ),
        ([a, b, c, d, e, f, header]) => {
          const body = new AttributeWriter(header)
            .u8(1, a)
            .nest(2, inside => inside.u16(1, b).nest(2, deeper => deeper.u32(3, c)))
            .u64(3, d)
            .bytes(4, e)
            .string(5, f)
            .finish();
          const back = Attributes.parse(body.subarray((header.length + 3) & ~3), 'it');
          expect([back.u8(1), back.nested(2)?.u16(1), back.nested(2)?.nested(2)?.u32(3), back.u64(3)]).toEqual([
            a,
            b,
            c,
            d,
          ]);
          expect(back.bytes(4)).toEqual(e);
          expect(back.string(5)).toBe(f);
          expect(back.has(6)).toBe(false);
        },
        FEWER,
      );
    },
    LIMIT,
  );

  test(
    'routes',
    () => {
      const route = family.chain(version => {
        const size = version === 4 ? 4 : 16;
        const prefix = fc.tuple(bytes(size), fc.nat(size * 8)).map(([address, length]) => makePrefix(address, length));
        return fc
          .record({
            destination: prefix,
            source: maybe(prefix.filter(({ length }) => length > 0)),
            table: fc.integer({ min: 1, max: 0xffffffff }),
            ...{ type: u8, scope: u8, protocol: u8, flags: u32 },
            ...{ metric: maybe(u32), link: maybe(u32), mtu: maybe(u32), preferredSource: maybe(bytes(size)) },
            gateway: maybe(fc.oneof(bytes(4), bytes(16))),
          })
          .map((rest): Route => ({ family: version, ...defined(rest) }) as Route);
      });
      check(
        route,
        each => {
          expect(decodeRoute(message(24, encodeRoute(each, familyNumber(each.family))))).toEqual(each);
        },
        FEWER,
      );
    },
    LIMIT,
  );

  test(
    'rules',
    () => {
      const name = fc.stringMatching(/^[a-z][a-z0-9]{0,14}$/);
      const rule = family.chain(version => {
        const size = version === 4 ? 4 : 16;
        const prefix = fc
          .tuple(bytes(size), fc.integer({ min: 1, max: size * 8 }))
          .map(([a, length]) => makePrefix(a, length));
        return fc
          .record({
            ...{ priority: u32, action: u8, table: fc.integer({ min: 1, max: 0xffffffff }), mark: u32 },
            ...{ source: maybe(prefix), destination: maybe(prefix), inputName: maybe(name), outputName: maybe(name) },
            mask: maybe(fc.nat(0xfffffffe)),
            suppressPrefixLength: maybe(fc.nat(128)),
            protocol: maybe(u8),
            invert: fc.constantFrom(true as const, undefined),
          })
          .map((rest): Rule => ({ family: version, ...defined(rest) }) as Rule);
      });
      check(
        rule,
        each => {
          expect(decodeRule(message(32, encodeRule(each)))).toEqual(each);
        },
        FEWER,
      );
    },
    LIMIT,
  );
});

describe('errors name the cause', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['a short header', () => decodeMessages(new Uint8Array(15)), /header has 16 bytes; at byte 0 only 15 are left/],
    ['a length of zero', () => decodeMessages(new Uint8Array(16)), /message at byte 0 claims 0 bytes; 16 to 16/],
    [
      'an attribute past the end',
      () => Attributes.parse(Uint8Array.of(9, 0, 3, 0, 1, 2, 3, 4), 'a link'),
      /^a link: attribute 3 at byte 0 claims 9/,
    ],
    [
      'a number of another size',
      () => Attributes.parse(Uint8Array.of(6, 0, 3, 0, 1, 2), 'a link').u32(3),
      /^a link: attribute 3 has 2 bytes, not 4/,
    ],
    [
      'half a link',
      () => decodeLink(message(16, new Uint8Array(15))),
      /a link: its header has 16 bytes; only 15 were received/,
    ],
    [
      'half a route',
      () => decodeRoute(message(24, new Uint8Array(3))),
      /a route: its header has 12 bytes; only 3 were received/,
    ],
    [
      'a prefix too long',
      () => decodeRoute(message(24, Uint8Array.of(2, 33, ...new Uint8Array(10)))),
      /no IPv4 prefix has length 33/,
    ],
    [
      'a device without a header',
      () => decodeDevice([message(29, new Uint8Array(2))]),
      /a device: its header has 4 bytes; only 2 were received/,
    ],
    [
      'an error without a number',
      () => decodeVerdict(message(2, new Uint8Array(3))),
      /a number of 4 bytes; 3 were received/,
    ],
  ])('%s', (_name, read, words) => {
    expect(read).toThrow(MalformedNetlink);
    expect(read).toThrow(words);
  });

  test('a finished writer is empty, and cannot be finished or written to again', () => {
    const writer = new AttributeWriter().string(1, 'wg0');
    expect(writer.finish()).toHaveLength(8);
    expect(() => writer.finish()).toThrow(/finished/);
    expect(() => writer.u32(2, 5)).toThrow(/finished/);
  });

  test('values too long for an attribute, and names with a zero byte, cannot be written', () => {
    expect(() => new AttributeWriter().bytes(1, new Uint8Array(65532))).toThrow(RangeError);
    expect(() => new AttributeWriter().nest(1, inside => inside.bytes(1, new Uint8Array(65530)))).toThrow(RangeError);
    expect(() => new AttributeWriter().string(1, 'a\0b')).toThrow(RangeError);
  });
});

describe('any input decodes or throws MalformedNetlink', () => {
  /** Bytes that begin like real messages and then go wrong. */
  const damaged = (real: Uint8Array) =>
    fc
      .tuple(fc.array(fc.tuple(fc.nat(real.length - 1), u8), { maxLength: 6 }), fc.nat(real.length))
      .map(([changes, length]) => {
        const copy = real.slice(0, length);
        for (const [at, value] of changes) if (at < length) copy[at] = value;
        return copy;
      });
  const route: Route = {
    ...{ family: 4, table: 51820, type: 1, scope: 0, protocol: 4, flags: 0, metric: 9, mtu: 1400 },
    destination: makePrefix(Uint8Array.of(10, 0, 0, 0), 8),
    gateway: new Uint8Array(16),
  };
  const device = encodeDevice('wg0', { privateKey: new Uint8Array(32), peers: manyPeers(3, 3) })[0]!;
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    damaged(encodeRoute(route, 2)),
    damaged(encodeRule({ family: 6, action: 1, table: 300, mark: 1, inputName: 'eth0' })),
    damaged(device),
  );
  const readers: readonly ((each: NetlinkMessage) => unknown)[] = [
    decodeLink,
    decodeAddress,
    decodeRoute,
    decodeRule,
    decodeEvent,
    decodeVerdict,
    each => decodeDevice([each, each]),
    each => decodeMessages(each.body),
  ];

  test(
    'every decoder',
    () => {
      check(fc.tuple(fc.constantFrom(2, 3, 16, 17, 20, 21, 24, 25, 32, 33), u16, bodies), ([type, flags, body]) => {
        for (const read of readers) {
          try {
            read({ type, flags, sequence: 1, port: 0, body });
          } catch (error) {
            if (!(error instanceof MalformedNetlink)) throw error;
          }
        }
      });
    },
    LIMIT,
  );
});
