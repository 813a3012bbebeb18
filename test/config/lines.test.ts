/**
 * Artefacts of editors and other systems in a configuration file: byte order marks, encodings, line
 * ends, invisible characters, very long lines.
 */
import { describe, expect, test } from 'vitest';
import { type ConfFile, parseConf } from '../../src/config/conf.ts';

const A = 'EhISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhI=';
const parse = (text: string): ConfFile => parseConf(text, 'wg0.conf');

describe('artefacts of editors', () => {
  const text = `[Interface]\nListenPort = 5\n[Peer]\nPublicKey = ${A}\n`;
  const whole = parse(text);

  test('a byte order mark is accepted, also in the middle of a concatenated file', () => {
    expect(parse(`\ufeff${text}`)).toEqual(whole);
    expect(parse(text.replace('[Peer]', '\ufeff[Peer]'))).toEqual(whole);
  });

  test('CRLF, no newline at the end, invisible characters and bytes that are not UTF-8 in comments', () => {
    expect(parse(text.replaceAll('\n', '\r\n'))).toEqual(whole);
    expect(parse(text.trimEnd())).toEqual(whole);
    expect(parse(`# \u00a0\0\ufffd\n${text}`).listenPort).toBe(5);
  });

  test.each([
    ['UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
    ['UTF-16', Buffer.from('\ufeff# \u0416\u0416\n', 'utf16le')],
    ['UTF-16LE', Buffer.from(text, 'utf16le')],
    ['UTF-16BE', Buffer.from(text, 'utf16le').swap16()],
    ['UTF-16LE', Buffer.from(`# \u0416\u0416\n${text}`, 'utf16le')],
  ])('%s is named in one sentence, with the command that converts it', (encoding, bytes) => {
    expect(() => parse(bytes.toString('utf8'))).toThrow(
      `wg0.conf: this file is UTF-16, and must be UTF-8: convert it with \`iconv -f ${encoding} -t UTF-8 wg0.conf > new.conf'`,
    );
  });

  test('lines that end in CR alone are reported: wg would read all of them as one line', () => {
    expect(() => parse(`# of 2001\n${text}`.replaceAll('\n', '\r'))).toThrow(
      /end in CR \(\\r\) alone: convert it with `tr /,
    );
  });

  test('a line of a megabyte is accepted or refused quickly', () => {
    const space = ' '.repeat(1024 * 1024);
    expect(parse(`[Interface]${space}\nListenPort =${space}5${space}#${space}x\n`).listenPort).toBe(5);
    const list = Array.from({ length: 65536 }, (_, i) => `10.0.${i >> 8}.${i & 255}/32`).join(`,${space.slice(0, 8)}`);
    expect(parse(`[Peer]\nPublicKey = ${A}\nAllowedIPs = ${list}\n`).peers[0]?.allowedIps).toHaveLength(65536);
  });
});
