/** The owner of an abstract socket, from this kernel. */
import { randomUUID } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { abstractName } from '../../src/base/abstract-name.ts';
import { systemNetlink } from '../../src/io/netlink.ts';
import { unixSocketOwner } from '../../src/netlink/unix-diag.ts';
import { bindOnly } from '../support/bound-socket.ts';

const aName = (): string => abstractName(`wireguard-ts-test/${randomUUID()}`);
const ownerOf = (name: string) => unixSocketOwner(systemNetlink, Buffer.from(name));

test('a name that no socket has is free', async () => {
  expect(await ownerOf(aName())).toBeUndefined();
});

test('the owner is known of a socket that listens, and of one that does not', async () => {
  const [listens, bound] = [aName(), aName()];
  const server = createServer();
  await new Promise<void>(resolve => server.listen(listens, resolve));
  const free = bindOnly(bound);
  const owner = { user: process.geteuid!() };
  expect([await ownerOf(listens), await ownerOf(bound)]).toEqual([owner, owner]);
  server.close();
  free();
  await expect.poll(() => ownerOf(bound)).toBeUndefined();
});

test('a connection outlives the name of the socket that accepted it', async () => {
  const name = aName();
  let accepted: Socket | undefined;
  const server = createServer(socket => (accepted = socket));
  await new Promise<void>(resolve => server.listen(name, resolve));
  const client = connect(name);
  await expect.poll(() => accepted).toBeDefined();
  server.close();
  await expect.poll(() => ownerOf(name)).toBeUndefined();
  accepted!.destroy();
  client.destroy();
});
