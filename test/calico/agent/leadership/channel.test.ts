/** The lock and its connections over real sockets; the user at the other end is a parameter. */
import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { abstractName } from '../../../../src/base/abstract-name.ts';
import { leadershipChannel } from '../../../../src/calico/agent/leadership/channel.ts';
import { nameOwner } from '../../../../src/calico/agent/leadership/identity.ts';
import type { Holder, LeadershipChannel } from '../../../../src/calico/agent/leadership/leadership.ts';
import { type AgentIdentity, formatMessage } from '../../../../src/calico/agent/leadership/messages.ts';
import { startupFailure } from '../../../../src/calico/agent/leadership/startup-probe.ts';
import { stepDownToken } from '../../../../src/calico/agent/leadership/step-down-token.ts';
import { bindOnly } from '../../../support/bound-socket.ts';

const identity = (pidNamespace: string): AgentIdentity => ({
  version: '1.0.0',
  pidNamespace,
  pid: 1,
  stateDirectory: '1:1',
});
const aName = (): string => abstractName(`wireguard-ts-test/${randomUUID()}`);

/** A key folder in memory. */
class Folder {
  readonly files = new Map<string, Uint8Array>();
  read(name: string): Uint8Array | undefined {
    return this.files.get(name);
  }
  write(name: string, bytes: Uint8Array): void {
    this.files.set(name, bytes);
  }
}
interface Others {
  readonly user?: number;
  readonly folder?: Folder;
  warn?(text: string): void;
}
const SHARED = new Folder();
const channelOf = (
  name: string,
  pidNamespace: string,
  { user = 0, folder = SHARED, warn = () => {} }: Others = {},
): LeadershipChannel =>
  leadershipChannel({
    self: identity(pidNamespace),
    peerUser: () => user,
    owner: async each => (await nameOwner(each)) && { user },
    token: stepDownToken(folder),
    warn,
    name,
  });
const startup = async (channel: LeadershipChannel, pidNamespace: string): Promise<string | undefined> => {
  let time = 0;
  const sleep = async (milliseconds: number): Promise<void> => {
    time += milliseconds;
  };
  return startupFailure(channel, pidNamespace, { sleep, now: () => time });
};

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
  const claim = (await channelOf(name, 'old', { user: 1000 }).claim())!;
  // The leader drops the connection of a user before it introduces itself.
  expect((await channelOf(name, 'new').contact())?.kind).toBe('closing');
  expect(await startup(channelOf(name, 'new'), 'new')).toMatch(/no agent leads/);
  const stranger = (await channelOf(name, 'new', { user: 1000 }).contact())!;
  expect([stranger.kind, stranger.description]).toEqual(['stranger', 'a process of user 1000']);
  claim.release();
});

test('root without the key folder is refused with a reason, which the leader logs once', async () => {
  const name = aName();
  const warned: string[] = [];
  const folder = new Folder();
  const claim = (await channelOf(name, 'old', { folder, warn: text => warned.push(text) }).claim())!;
  let asked = 0;
  void claim.asked.then(() => asked++);
  const other = new Folder();
  stepDownToken(other).ensure();
  const ask = async (from: Folder) =>
    (await channelOf(name, 'new', { folder: from }).contact())!.askToStepDown().catch(String);
  for (let i = 0; i < 2; i++) {
    expect(await ask(new Folder())).toBe('the request has no token (leadership.token in the key folder)');
    expect(await ask(other)).toMatch(/^the token of the request is not the one of leadership\.token/);
  }
  expect(asked).toBe(0);
  expect(warned).toEqual([
    expect.stringMatching(/^did not step down .*: the request has no token/),
    expect.stringMatching(/^did not step down .*: the token of the request is not the one/),
  ]);
  // A leader whose token was removed or cannot be read refuses too.
  const token = folder.files.get('leadership.token')!;
  for (const bytes of [undefined, new Uint8Array(0), Buffer.from('undefined')]) {
    folder.files.clear();
    if (bytes) folder.files.set('leadership.token', bytes);
    expect(await ask(folder)).toBe('the leader cannot read leadership.token in its key folder');
  }
  folder.files.set('leadership.token', token);
  const answer = ask(folder);
  const successor = await claim.asked;
  claim.release();
  successor.grant();
  expect(await answer).toBeUndefined();
  successor.close();
});

test('a leader of a version without tokens steps down for this one', async () => {
  for (const folder of [new Folder(), SHARED]) {
    const name = aName();
    const lines: string[] = [];
    const server = createServer(socket => {
      socket.write(formatMessage({ type: 'leader', agent: identity('old') }));
      socket
        .on('error', () => {})
        .on('data', bytes => {
          lines.push(bytes.toString());
          socket.write('{"protocol":1,"type":"stepped-down"}\n');
        });
    });
    await new Promise<void>(resolve => server.listen(name, resolve));
    const holder = (await channelOf(name, 'new', { folder }).contact())!;
    expect(await holder.askToStepDown()).toBeUndefined();
    // What that version reads of a request.
    expect(lines.map(line => JSON.parse(line))).toEqual([
      expect.objectContaining({ protocol: 1, type: 'step-down', agent: identity('new') }),
    ]);
    holder.close();
    server.close();
  }
});

test('many silent connections neither keep an agent out nor end that of a successor', async () => {
  const name = aName();
  const claim = (await channelOf(name, 'old').claim())!;
  const holder = (await channelOf(name, 'new').contact())!;
  const answer = holder.askToStepDown();
  const successor = await claim.asked;
  let hasEnded = false;
  void successor.ended.then(() => {
    hasEnded = true;
  });
  const idle = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const socket = connect(name)
        .on('error', () => {})
        .resume();
      await new Promise(resolve => socket.once('data', resolve));
      return socket;
    }),
  );
  expect((await channelOf(name, 'third').contact())?.kind).toBe('agent');
  expect(hasEnded).toBe(false);
  await expect.poll(() => idle.filter(socket => !socket.destroyed).length).toBeLessThanOrEqual(32);
  successor.grant();
  expect(await answer).toBeUndefined();
  for (const socket of idle) socket.destroy();
  successor.close();
  claim.release();
});

test('an agent of another protocol cannot be asked; neither can one that is silent', async () => {
  for (const greeting of ['{"protocol":2,"type":"leader"}\n', 'HTTP/1.1 400 Bad Request\n', '']) {
    const name = aName();
    const server = createServer(socket => socket.on('error', () => {}).write(greeting));
    await new Promise<void>(resolve => server.listen(name, resolve));
    const holder = (await channelOf(name, 'new').contact())!;
    expect(holder.kind).toBe(greeting === '' ? 'silent' : 'unreadable');
    if (greeting !== '') expect(await startup(channelOf(name, 'new'), 'new')).toBeUndefined();
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
  expect(await startup(next, 'new')).toBe('no agent leads this node yet');
  const claim = (await old.claim())!;
  expect(await startup(next, 'new')).toMatch(/another container leads .* waits to take over/);
  expect(await startup(old, 'old')).toBeUndefined();
  claim.release();
});

test('the holder of a name that does not listen is deaf, or a stranger if root does not own it', async () => {
  const name = aName();
  const free = bindOnly(name);
  expect(await channelOf(name, 'new').claim()).toBeUndefined();
  expect((await channelOf(name, 'new').contact())?.kind).toBe('deaf');
  expect((await channelOf(name, 'new', { user: 1000 }).contact())?.kind).toBe('stranger');
  free();
  await expect.poll(() => channelOf(name, 'new').contact()).toBeUndefined();
});

test('a holder with a full queue is silent, or a stranger if root does not own it', async () => {
  const name = aName();
  const free = bindOnly(name, 1);
  // All within one turn of the loop, in which nothing is accepted.
  const waiting = Array.from({ length: 4 }, () => connect(name).on('error', () => {}));
  const holders = [channelOf(name, 'new').contact(), channelOf(name, 'new', { user: 1000 }).contact()];
  expect((await Promise.all(holders)).map(holder => holder?.kind)).toEqual(['silent', 'stranger']);
  for (const socket of waiting) socket.destroy();
  free();
});

test.each<Holder['kind']>(['silent', 'deaf'])(
  'the startup probe believes a %s leader only after some seconds',
  async kind => {
    const kinds: Holder['kind'][] = [];
    const holder = (each: Holder['kind']): Holder => ({
      kind: each,
      description: 'process x',
      ended: Promise.resolve(),
      askToStepDown: async () => 'no',
      close: () => void kinds.push(each),
    });
    const channelWith = (...then: readonly (Holder | undefined)[]): LeadershipChannel => ({
      claim: async () => undefined,
      contact: async () => (kinds.length < 3 ? holder(kind) : (then[kinds.length - 3] ?? then.at(-1))),
    });
    expect(await startup(channelWith(undefined), 'new')).toMatch(/no agent leads/);
    kinds.length = 0;
    expect(await startup(channelWith(holder(kind)), 'new')).toBeUndefined();
    expect(kinds.length).toBeGreaterThan(5);
  },
);
