/** Text with keys in it: in pieces, line by line, and overwritten afterwards. */
import { expect, test } from 'vitest';
import { latin1, SecretText } from '../../src/config/secret-text.ts';

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
