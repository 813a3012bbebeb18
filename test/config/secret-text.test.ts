/** Text with keys in it: in pieces, line by line, and overwritten afterwards. */
import { expect, test } from 'vitest';
import { latin1, PIECE_SIZE, SecretText } from '../../src/config/secret-text.ts';

const joined = (text: SecretText): string => [...text.pieces()].map(piece => latin1(piece)).join('');

test('what is appended is in the pieces, in order, across their borders', () => {
  const text = new SecretText();
  let wanted = '';
  for (let i = 0; i < 3000; i++) {
    const part = `${i}:`.repeat((i % 40) + 1);
    if (i % 2 === 0) text.text(part);
    else text.append(new TextEncoder().encode(`<${part}>`), 1, part.length + 1);
    wanted += part;
  }
  expect(text.length).toBe(wanted.length);
  expect(joined(text) === wanted).toBe(true);
  expect([...text.pieces()].length).toBeGreaterThan(3);
});

test('a range that ends before it begins adds nothing', () => {
  const text = new SecretText();
  text.append(new Uint8Array(10), 7, 3);
  expect([text.length, joined(text)]).toEqual([0, '']);
});

test('lines are whole, also those across pieces, and their copies are overwritten', () => {
  const text = new SecretText();
  const lines = Array.from({ length: 400 }, (_, i) => `${i}=`.padEnd((i * 997) % 2000, 'k'));
  for (const line of lines) text.text(`${line}\n`);
  text.text('after the last newline');
  const seen: string[] = [];
  const given = new Set<Uint8Array>();
  for (const _ of text.eachLine((bytes, from, to) => {
    seen.push(latin1(bytes, from, to));
    given.add(bytes);
  }));
  expect(seen).toEqual(lines);
  const buffers = new Set([...text.pieces()].map(({ buffer }) => buffer));
  const copies = [...given].filter(({ buffer }) => !buffers.has(buffer));
  expect(copies.length).toBeGreaterThan(0);
  for (const copy of copies) expect(copy.every(byte => byte === 0)).toBe(true);
});

test('erasing overwrites every piece and leaves an empty text', () => {
  const text = new SecretText();
  text.text('secret'.repeat(20_000));
  const pieces = [...text.pieces()];
  text.erase();
  for (const piece of pieces) expect(piece.every(byte => byte === 0)).toBe(true);
  expect([text.length, joined(text)]).toEqual([0, '']);
  text.text('new');
  expect(joined(text)).toBe('new');
});

test('an encoder writes the same bytes as the loops, at any place and for any character', () => {
  const encoder = new TextEncoder();
  for (const text of [
    'allowed_ip=192.0.2.0/24\n'.repeat(9),
    'é'.repeat(30),
    `é${'a'.repeat(40)}`,
    '\u{1f600}'.repeat(20),
  ])
    for (let at = 0; at < PIECE_SIZE; at += 997) {
      const [fast, slow] = [new SecretText((line, into) => encoder.encodeInto(line, into)), new SecretText()];
      for (const one of [fast, slow]) {
        one.append(new Uint8Array(at).fill(0x61));
        one.text(text);
      }
      expect(joined(fast)).toBe(joined(slow));
      expect(fast.length).toBe(at + text.length);
    }
});

test('a line with a key is the same at any place of a piece', () => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 8 * i + 3);
  const digits = Buffer.from(key).toString('hex');
  for (let at = PIECE_SIZE - 100; at <= PIECE_SIZE + 1; at++) {
    const text = new SecretText();
    text.append(new Uint8Array(at).fill(0x61));
    text.keyLine('preshared_key', key);
    expect(joined(text).slice(at)).toBe(`preshared_key=${digits}\n`);
    expect(text.length).toBe(at + 79);
  }
});
