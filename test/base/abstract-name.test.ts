/** Names of abstract sockets are the same for every version of Node.js. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { abstractName } from '../../src/base/abstract-name.ts';
import { withoutComments } from '../support/imports.ts';

test('a name fills the 108 bytes of sun_path, so that no version of Node.js pads it', () => {
  for (const text of ['', 'wireguard-ts/wg0', 'wireguard-ts/wgäö', 'x'.repeat(107)]) {
    const name = abstractName(text);
    expect([Buffer.byteLength(name), name.startsWith(`\0${text}`)]).toEqual([108, true]);
  }
  expect(() => abstractName('x'.repeat(108))).toThrow(/too long/);
});

test('the kernel has exactly this name', async () => {
  const name = abstractName(`wireguard-ts-test/${randomUUID()}`);
  const server = createServer();
  await new Promise<void>(resolve => server.listen(name, resolve));
  const listed = readFileSync('/proc/self/net/unix', 'utf8').split('\n');
  server.close();
  expect(listed.filter(line => line.endsWith(` @${name.slice(1)}`))).toHaveLength(1);
});

test('no file of src writes such a name itself', () => {
  const src = fileURLToPath(new URL('../../src/', import.meta.url));
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
  const found = files.filter(name =>
    /['"`]\\0wireguard-ts/.test(withoutComments(readFileSync(join(src, name), 'utf8'))),
  );
  expect(found).toEqual([]);
  const users = ['calico/agent/leadership/channel.ts', 'host/device-watcher.ts', 'host/interface-lock.ts'];
  for (const name of users) expect(readFileSync(join(src, name), 'utf8'), name).toMatch(/\babstractName\(/);
});
