/** Every case of every Wycheproof file in ../shared/vectors, on every provider. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { describeWith } from '../netns/needs.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { sharedVectors } from '../support/shared.ts';
import { hex, toHex } from '../support/vectors.ts';

interface Case {
  tcId: number;
  comment: string;
  flags: string[];
  result: 'valid' | 'acceptable' | 'invalid';
}
interface DhCase extends Case {
  public: string;
  private: string;
  shared: string;
}
interface AeadCase extends Case {
  key: string;
  iv: string;
  aad: string;
  msg: string;
  ct: string;
  tag: string;
}
interface File<C extends Case> {
  algorithm: string;
  numberOfTests: number;
  testGroups: { type: string; tests: C[] }[];
}

type Seal = CryptoProvider['seal'];
type Judge = (crypto: CryptoProvider, one: Case, type: string) => void;

/** Checks by algorithm: a file of any other algorithm fails the test. */
const judges: Record<string, Judge> = {
  XDH: (crypto, one, type) => {
    expect(type).toBe('XdhComp');
    judgeDh(crypto, one as DhCase);
  },
  'CHACHA20-POLY1305': (crypto, one, type) => {
    expect(type).toBe('AeadTest');
    judgeAead(crypto.seal, crypto.open, one as AeadCase);
  },
  'XCHACHA20-POLY1305': (crypto, one, type) => {
    expect(type).toBe('AeadTest');
    judgeAead(crypto.xseal, crypto.xopen, one as AeadCase);
  },
};

/** WireGuard accepts every point that RFC 7748 accepts, except those with a zero result. */
function judgeDh(crypto: CryptoProvider, one: DhCase): void {
  expect(one.result).not.toBe('invalid');
  const zero = one.flags.includes('ZeroSharedSecret');
  expect(zero).toBe(/^0*$/.test(one.shared));
  expect(toHex(crypto.dh(hex(one.private), hex(one.public)))).toBe(zero ? undefined : one.shared);
}

function judgeAead(seal: Seal, open: CryptoProvider['open'], one: AeadCase): void {
  const [key, nonce, aad, plaintext] = [hex(one.key), hex(one.iv), hex(one.aad), hex(one.msg)];
  const sealed = hex(one.ct + one.tag);
  if (one.flags.includes('InvalidNonceSize')) {
    expect(one.result).toBe('invalid');
    expect(() => seal(key, nonce, plaintext, aad)).toThrow(RangeError);
    expect(() => open(key, nonce, sealed, aad)).toThrow(RangeError);
  } else if (one.result === 'valid') {
    expect(toHex(seal(key, nonce, plaintext, aad))).toBe(toHex(sealed));
    expect(toHex(open(key, nonce, sealed, aad))).toBe(one.msg);
  } else {
    expect(one.result).toBe('invalid');
    expect(open(key, nonce, sealed, aad)).toBe(undefined);
  }
}

const folder = sharedVectors('wycheproof/');

describeWith(['../shared/vectors'], 'Wycheproof', () => {
  const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.json')) : [];

  test('has files for each of the three algorithms', () => {
    expect(names.map(name => read(name).algorithm).sort()).toEqual(Object.keys(judges).sort());
  });

  for (const name of names)
    for (const crypto of cryptoProviders)
      test(`${name}: ${crypto.name}`, () => {
        const file = read(name);
        const judge = judges[file.algorithm]!;
        let ran = 0;
        for (const group of file.testGroups)
          for (const one of group.tests) {
            try {
              judge(crypto, one, group.type);
            } catch (error) {
              (error as Error).message += `\n(${name}, case ${one.tcId}: ${one.comment || one.flags.join(', ')})`;
              throw error;
            }
            ran++;
          }
        expect(ran).toBe(file.numberOfTests);
        expect(ran).toBeGreaterThan(300);
      });
});

function read(name: string): File<Case> {
  return JSON.parse(readFileSync(`${folder}${name}`, 'utf8')) as File<Case>;
}
