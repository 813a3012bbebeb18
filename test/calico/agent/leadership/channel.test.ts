/** The lock and its connections over real sockets; the user at the other end is a parameter. */
import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { leadershipChannel } from '../../../../src/calico/agent/leadership/channel.ts';
import type { LeadershipChannel } from '../../../../src/calico/agent/leadership/leadership.ts';
import type { AgentIdentity } from '../../../../src/calico/agent/leadership/messages.ts';
import { startupFailure } from '../../../../src/calico/agent/leadership/startup-probe.ts';

const identity = (pidNamespace: string): AgentIdentity => ({
  version: '1.0.0',
  pidNamespace,
  pid: 1,
  stateDirectory: '1:1',
});
const aName = (): string => `\0wireguard-ts-test/${randomUUID()}`;
const channelOf = (name: string, pidNamespace: string, user = 0): LeadershipChannel =>
  leadershipChannel({ self: identity(pidNamespace), peerUser: () => user, name });

test('one process has the lock; it steps down when asked, and sees the end of its successor', async () => {
  const name = aName();
  const [old, next] = [channelOf(name, 'old'), channelOf(name, 'new')];
  expect(await next.contact()).toBeUndefined();
  const claim = (await old.claim())!;
  expect(await next.claim()).toBeUndefined();
  const holder = (await next.contact())!;
  expect([holder.kind, holder.agent]).toEqual(['agent', identity('old')]);
  const answer = holder.askToStepDown();
  const successor = await claim.asked;
  expect(successor.agent).toEqual(identity('new'));
  const waiting = (await channelOf(name, 'third').contact())!;
  // A second one that asks is refused.
  expect(await waiting.askToStepDown()).toMatch(/another agent/);
  claim.release();
  successor.grant();
  expect(await answer).toBeUndefined();
  const now = (await next.claim())!;
  expect(now).toBeDefined();
  holder.close();
  await successor.ended;
  now.release();
});

test('release ends the connections of those that wait, so that they meet the next leader', async () => {
  const name = aName();
  const claim = (await channelOf(name, 'old').claim())!;
  const holder = (await channelOf(name, 'new').contact())!;
  claim.release();
  await holder.ended;
  expect(await channelOf(name, 'new').contact()).toBeUndefined();
});

test('only root is asked, and only root may ask', async () => {
  const name = aName();
  const claim = (await channelOf(name, 'old', 1000).claim())!;
  // The leader drops the connection of a user before it introduces itself.
  expect(await channelOf(name, 'new').contact()).toBeUndefined();
  const stranger = (await channelOf(name, 'new', 1000).contact())!;
  expect([stranger.kind, stranger.description]).toEqual(['stranger', 'a process of user 1000']);
  claim.release();
});

test('an agent of another protocol cannot be asked; neither can one that is silent', async () => {
  for (const greeting of ['{"protocol":2,"type":"leader"}\n', 'HTTP/1.1 400 Bad Request\n', '']) {
    const name = aName();
    const server = createServer(socket => socket.on('error', () => {}).write(greeting));
    await new Promise<void>(resolve => server.listen(name, resolve));
    const holder = (await channelOf(name, 'new').contact())!;
    expect(holder.kind).toBe('unreadable');
    expect(await startupFailure(channelOf(name, 'new'), 'new')).toBeUndefined();
    holder.close();
    server.close();
  }
});

test('input that is no message ends only its own connection', async () => {
  const name = aName();
  const claim = (await channelOf(name, 'old').claim())!;
  for (const bytes of ['nonsense\n', 'x'.repeat(10_000), '{"protocol":1,"type":"leader"}\n']) {
    const socket = connect(name).on('error', () => {});
    socket.write(bytes);
    socket.resume();
    await new Promise(resolve => socket.once('close', resolve));
  }
  expect((await channelOf(name, 'new').contact())?.kind).toBe('agent');
  claim.release();
});

test('the startup probe succeeds only in the container of the leader', async () => {
  const name = aName();
  const [old, next] = [channelOf(name, 'old'), channelOf(name, 'new')];
  expect(await startupFailure(next, 'new')).toBe('no agent leads this node yet');
  const claim = (await old.claim())!;
  expect(await startupFailure(next, 'new')).toMatch(/another container leads .* waits to take over/);
  expect(await startupFailure(old, 'old')).toBeUndefined();
  claim.release();
});
