/** The version of a Go program is that of the module which was built. */
import { expect, test } from 'vitest';
import { parseGoVersion } from '../../bench/tunnel/contenders.ts';

test('a program that was built from a module has its version and its compiler', () => {
  const text =
    '/x/wireguard-go: go1.26.8\n\tpath\tgolang.zx2c4.com/wireguard\n' +
    '\tmod\tgolang.zx2c4.com/wireguard\tv0.0.0-20260522210424-ecfc5a8d5446\th1:cq=\n\tdep\tgolang.org/x/net\tv0.39.0\th1:dC\n';
  expect(parseGoVersion(text)).toBe('0.0.0-20260522210424-ecfc5a8d5446, go1.26.8');
});

test('no version of a program that was built without one, or not by Go', () => {
  expect(parseGoVersion('/x: go1.19.8\n\tpath\tgolang.zx2c4.com/wireguard\n\tbuild\t-compiler=gc\n')).toBeUndefined();
  expect(parseGoVersion('')).toBeUndefined();
});
