/**
 * Macs and cookies in isolation, on every provider; transcripts.test.ts compares them with the
 * transcripts.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { ENDPOINT_HAS_LOCAL, ENDPOINT_LOCAL, makeEndpoint } from '../../src/base/endpoint.ts';
import { COOKIE_REPLY_SIZE } from '../../src/packet/cookie-reply.ts';
import { CookieChecker, CookieJar } from '../../src/protocol/cookie.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { seeded } from '../support/random.ts';

const HOME = makeEndpoint(parseAddress('192.0.2.1')!, 51820);
const other = (address: string, port: number) => makeEndpoint(parseAddress(address)!, port);

describe.each(cryptoProviders.map(crypto => [crypto.name, crypto] as const))('%s', (_, crypto) => {
  function made() {
    const random = seeded(1);
    const publicKey = crypto.publicKey(random.bytes(32));
    const checker = new CookieChecker(crypto, bytes => random.fill(bytes), publicKey);
    const jar = new CookieJar(crypto, publicKey);
    const message = random.bytes(148);
    /** The checker's reply to the message from an endpoint. */
    const reply = (from = HOME, now = 0) => {
      const out = new Uint8Array(COOKIE_REPLY_SIZE);
      checker.writeReply(out, message, 0x01020304, from, 0, now);
      return out;
    };
    return { random, publicKey, checker, jar, message, reply };
  }

  test('mac1 is bound to one public key and covers everything before it', () => {
    const { random, checker, jar, message } = made();
    for (const size of [92, 148]) {
      const sized = message.slice(0, size);
      jar.addMacs(sized, 0);
      expect(checker.validMac1(sized)).toBe(true);
      for (let i = 0; i < size - 16; i += 5) {
        sized[i]! ^= 4;
        expect(checker.validMac1(sized), `byte ${i}`).toBe(false);
        sized[i]! ^= 4;
      }
    }
    new CookieJar(crypto, crypto.publicKey(random.bytes(32))).addMacs(message, 0);
    expect(checker.validMac1(message)).toBe(false);
  });

  test('mac2 is zero without a cookie, and zero is never valid', () => {
    const { checker, jar, message } = made();
    jar.addMacs(message, 0);
    expect(message.subarray(132)).toEqual(new Uint8Array(16));
    expect(checker.validMac2(message, HOME, 0, 0)).toBe(false);
  });

  test('a cookie is bound to the source address and port of either family, not to our address', () => {
    for (const from of [HOME, other('2001:db8::1', 51820)]) {
      const { checker, jar, message, reply } = made();
      jar.addMacs(message, 0);
      expect(jar.takeReply(reply(from), 0)).toBe(true);
      jar.addMacs(message, 0);
      expect(checker.validMac2(message, from, 0, 0)).toBe(true);
      for (const [address, port] of [
        ['192.0.2.1', 51821],
        ['192.0.2.1', 51820 ^ 0x100],
        ['192.0.2.2', 51820],
        ['2001:db8::1', 51821],
        ['2001:db8::2', 51820],
        ['2001:db8:0:0:1::1', 51820],
        ['::ffff:192.0.2.1', 51820],
      ] as const)
        expect(checker.validMac2(message, other(address, port), 0, 0), address).toBe(false);
      const local = Uint8Array.from(from);
      local[ENDPOINT_HAS_LOCAL] = 1;
      local.fill(7, ENDPOINT_LOCAL);
      expect(checker.validMac2(message, local, 0, 0)).toBe(true);
    }
  });

  test('a cookie is not valid for a source whose every byte differs', () => {
    for (const [from, to] of [
      ['192.0.2.1', '10.1.3.4'],
      ['1:2:3:4:5:6:7:8', 'fefe:fdfd:fcfc:fbfb:fafa:f9f9:f8f8:f7f7'],
    ] as const) {
      const { checker, jar, message, reply } = made();
      jar.addMacs(message, 0);
      expect(jar.takeReply(reply(other(from, 0x0102)), 0)).toBe(true);
      jar.addMacs(message, 0);
      expect(checker.validMac2(message, other(from, 0x0102), 0, 0)).toBe(true);
      expect(checker.validMac2(message, other(to, 0x0304), 0, 0)).toBe(false);
    }
  });

  test('the secret changes every 120 s and not before', () => {
    const { checker, jar, message, reply } = made();
    jar.addMacs(message, 1000);
    jar.takeReply(reply(HOME, 1000), 1000);
    jar.addMacs(message, 1000);
    expect(checker.validMac2(message, HOME, 0, 120_999)).toBe(true);
    expect(checker.validMac2(message, HOME, 0, 121_000)).toBe(false);
    expect(checker.validMac2(message, HOME, 0, 1000)).toBe(false);
  });

  test('a received cookie is used for 115 s', () => {
    const { jar, message, reply } = made();
    jar.addMacs(message, 0);
    jar.takeReply(reply(), 5000);
    jar.addMacs(message, 119_999);
    expect(message.subarray(132)).not.toEqual(new Uint8Array(16));
    jar.addMacs(message, 120_000);
    expect(message.subarray(132)).toEqual(new Uint8Array(16));
  });

  test('a reply is accepted once, only for the last message, and only unaltered', () => {
    const { random, jar, message, reply } = made();
    expect(jar.takeReply(reply(), 0)).toBe(false);
    jar.addMacs(message, 0);
    const good = reply();
    for (let i = 8; i < 64; i++) {
      const bent = Uint8Array.from(good);
      bent[i]! ^= 0x80;
      expect(jar.takeReply(bent, 0), `byte ${i}`).toBe(false);
    }
    const later = random.bytes(148);
    jar.addMacs(later, 0);
    expect(jar.takeReply(good, 0)).toBe(false);
    jar.addMacs(message, 0);
    expect(jar.takeReply(good, 0)).toBe(true);
    expect(jar.takeReply(good, 0)).toBe(false);
  });

  test('a reply before any message of ours is refused, even one for a mac1 of zeros', () => {
    const { jar, message, reply } = made();
    message.fill(0, 116, 132);
    expect(jar.takeReply(reply(), 0)).toBe(false);
  });

  test('a reply carries the index that it answers, and a fresh nonce', () => {
    const { jar, message, reply } = made();
    jar.addMacs(message, 0);
    const [one, two] = [reply(), reply()];
    expect(one.subarray(0, 8)).toEqual(Uint8Array.of(3, 0, 0, 0, 4, 3, 2, 1));
    expect(one.subarray(8, 32)).not.toEqual(two.subarray(8, 32));
    expect(one.subarray(32)).not.toEqual(two.subarray(32));
  });
});
