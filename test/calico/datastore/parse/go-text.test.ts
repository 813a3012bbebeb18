/** Parses addresses, CIDRs and keys exactly as Go does, compared with Go itself. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { bytesToHex } from '@noble/hashes/utils.js';
import { expect, test } from 'vitest';
import { parseCidr, parseIp } from '../../../../src/calico/datastore/parse/go-text.ts';
import { parseGoKey } from '../../../../src/calico/model/go-key.ts';
import { describeWith } from '../../../netns/needs.ts';
import { type Random, seeded, testSeed } from '../../../support/random.ts';

interface GoResult {
  readonly IP: string;
  readonly CIDR: string;
  readonly Key: string;
}

const KEY = Buffer.alloc(32, 0xa5).toString('base64');
const TRICKY = [
  '',
  ' ',
  '0',
  '1',
  '.',
  ':',
  '::',
  ':::',
  '/',
  '::/0',
  '0.0.0.0',
  '0.0.0.0/0',
  '1.2.3',
  '1.2.3.4',
  '1.2.3.4.',
  '.1.2.3.4',
  '1.2.3.4.5',
  '01.2.3.4',
  '1.2.3.04',
  '1.2.3.256',
  '1.2.3.-4',
  '+1.2.3.4',
  '1.2.3.4 ',
  ' 1.2.3.4',
  '1.2.3.4\n',
  '0x1.2.3.4',
  '1.2.3.4/',
  '1.2.3.4/0',
  '1.2.3.4/024',
  '1.2.3.4/0000000000000000000024',
  '1.2.3.4/33',
  '1.2.3.4/+24',
  '1.2.3.4/-1',
  '1.2.3.4/24/',
  '1.2.3.4/24/3',
  '1.2.3.4/ 24',
  '1.2.3.4/2 4',
  '1.2.3.4/16777215',
  '1.2.3.4/99999999999999999999',
  '1.2.3.4/0x18',
  '1.2.3.4%eth0',
  '1.2.3.4%eth0/24',
  'fe80::1%eth0',
  'fe80::1%1/64',
  'fe80::1%',
  '::ffff:1.2.3.4',
  '::FFFF:1.2.3.4/120',
  '::ffff:1.2.3.4/24',
  '::ffff:1.2.3.4/96',
  '::ffff:0102:0304',
  '::fffe:1.2.3.4',
  '::1.2.3.4',
  '1:2:3:4:5:6:1.2.3.4',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3.04',
  '1.2.3.4::',
  '1:2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8',
  '1::3:4:5:6:7:8',
  '1:2:3:4:5:6:7:8::',
  '::1:2:3:4:5:6:7:8',
  '1::2::3',
  '12345::',
  '::g',
  '::0001',
  '::00001',
  'FD00::ABCD',
  'fd00::1/128',
  'fd00::1/129',
  'fd00::1/0128',
  '[::1]',
  '[::1]/64',
  '：：1',
  '１.2.3.4',
  '1.2.3.4/２4',
  KEY,
  `${KEY}\n`,
  `\n${KEY}`,
  `${KEY}\r\n`,
  `${KEY.slice(0, 10)}\n${KEY.slice(10)}`,
  `${KEY.slice(0, 43)}\n=`,
  `${KEY} `,
  ` ${KEY}`,
  KEY.slice(0, 43),
  `${KEY}=`,
  `${KEY.slice(0, 42)}d=`,
  `${KEY.slice(0, 42)}V=`,
  `${KEY.slice(0, 42)}_=`,
  KEY.replaceAll('p', '-'),
  '='.repeat(44),
  'A'.repeat(44),
  `${'A'.repeat(43)}=`,
  `${'A'.repeat(42)}==`,
  `${'A'.repeat(42)}=A`,
  `${KEY}\v`,
  `${KEY}\u2028`,
];
const PIECES = [
  '0',
  '1',
  '9',
  '10',
  '255',
  '256',
  '024',
  '.',
  '.',
  ':',
  ':',
  '::',
  '/',
  '/24',
  '/64',
  '/128',
  'ffff',
  'fd00',
  'ABCD',
  '%1',
  ' ',
  '\n',
  '-',
  '+',
];

function randomText(random: Random): string {
  const octet = (): string => String(random.below(random.chance(0.1) ? 300 : 256));
  const group = (): string => random.below(0x10000).toString(16);
  switch (random.below(5)) {
    case 0:
      return Array.from({ length: random.below(12) }, () => random.pick(PIECES)).join('');
    case 1:
      return `${random.chance(0.3) ? '::ffff:' : ''}${[octet(), octet(), octet(), octet()].join('.')}${random.chance(0.5) ? `/${random.below(140)}` : ''}`;
    case 2: {
      const groups = Array.from({ length: 1 + random.below(8) }, group);
      groups.splice(random.below(groups.length), random.chance(0.7) ? 1 : 0, '');
      return `${groups.join(':')}${random.chance(0.5) ? `/${random.below(140)}` : ''}`;
    }
    case 3: {
      const text = random.pick(TRICKY);
      const at = random.below(text.length + 1);
      return text.slice(0, at) + random.pick(PIECES) + text.slice(at + random.below(2));
    }
    default: {
      const text = Buffer.from(random.bytes(random.pick([31, 32, 32, 32, 33]))).toString('base64');
      const at = random.below(text.length + 1);
      return (
        text.slice(0, at) + random.pick(['', '', '\n', '\r\n', '=', 'A', '+', '_']) + text.slice(at + random.below(2))
      );
    }
  }
}

describeWith(['go'], 'parses texts like Go', () => {
  test('20,000 random texts and tricky ones', () => {
    const random = seeded(testSeed());
    console.log(`go-text: TEST_SEED=${random.seed}`);
    const texts = [...TRICKY, ...Array.from({ length: 20_000 }, () => randomText(random))];
    const program = join(import.meta.dirname, 'go-text.go');
    const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '' };
    const output = execFileSync('go', ['run', program], { input: JSON.stringify(texts), env, maxBuffer: 1 << 26 });
    const results = JSON.parse(output.toString()) as readonly GoResult[];
    expect(results).toHaveLength(texts.length);
    const counts = { ip: 0, cidr: 0, key: 0 };
    for (const [i, text] of texts.entries()) {
      const { IP, CIDR, Key } = results[i]!;
      const [ip, cidr, key] = [parseIp(text), parseCidr(text), parseGoKey(text)];
      const length = (cidr?.isMapped ? Number(/\/0*(\d+)$/.exec(text)![1]) : cidr?.length) ?? 0;
      const bits = cidr?.isMapped ? 128 : (cidr?.address.length ?? 0) * 8;
      const ours = {
        IP: ip ? bytesToHex(ip) : '',
        CIDR: cidr ? `${bytesToHex(cidr.address)}/${length} of ${bits}` : '',
        Key: key ? bytesToHex(key) : '',
      };
      expect(ours, JSON.stringify(text)).toEqual({ IP, CIDR, Key });
      if (ip) counts.ip++;
      if (cidr) counts.cidr++;
      if (key) counts.key++;
    }
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(500);
  });
});
