/** One agent leads a node at a time; who steps down, who resumes, and who ends with an error. */
import { expect, test } from 'vitest';
import { type Holder, leadFor } from '../../../../src/calico/agent/leadership/leadership.ts';
import { FakeAgent, type FakeAgentOptions, NodeLock, settle } from './node-lock.ts';

const lock = (): { readonly node: NodeLock; agent(name: string, more?: Partial<FakeAgentOptions>): FakeAgent } => {
  const node = new NodeLock();
  return { node, agent: (name, more = {}) => new FakeAgent(node, { pidNamespace: name, ...more }).start() };
};

test('a single agent leads at once and stops on its signal', async () => {
  const { node, agent } = lock();
  const old = agent('old');
  await settle();
  expect([old.log, node.holder]).toEqual([['lead'], old]);
  await old.end();
  expect([old.log, node.holder]).toEqual([['lead', 'stopped'], undefined]);
});

test('a new agent plans first, then the old one stops for good, then the new one leads', async () => {
  const { agent } = lock();
  const old = agent('old');
  await settle();
  let planned = (): void => {};
  const next = agent('new', { planned: new Promise(resolve => (planned = resolve)) });
  let endTurn = (): void => {};
  old.turn = new Promise(resolve => (endTurn = resolve));
  await settle();
  expect([old.isLeading, next.log]).toEqual([true, ['prepare']]);
  planned();
  await settle();
  // The old agent finishes its turn first.
  expect([old.isLeading, next.log]).toEqual([true, ['prepare']]);
  endTurn();
  await settle();
  expect([old.log, next.log]).toEqual([
    ['lead', 'stopped'],
    ['prepare', 'lead'],
  ]);
  expect(old.said.join()).toContain('stepped down');
  // Its own end touches nothing.
  await old.end();
  expect([old.log, next.isLeading]).toEqual([['lead', 'stopped'], true]);
});

test('an agent that stepped down leads again if its successor is killed, and ends when told', async () => {
  const { agent } = lock();
  const old = agent('old');
  await settle();
  const next = agent('new');
  await settle();
  next.kill();
  await settle();
  expect(old.log).toEqual(['lead', 'stopped', 'lead']);
  expect(old.said.join()).toContain('leads the node again');
  await old.end();
  expect(old.log).toEqual(['lead', 'stopped', 'lead', 'stopped']);
});

test('a new agent that is ended before it has planned changes nothing', async () => {
  const { agent } = lock();
  const old = agent('old');
  await settle();
  const next = agent('new', { planned: new Promise(() => {}) });
  await settle();
  await next.end();
  await settle();
  expect([old.log, next.log]).toEqual([['lead'], ['prepare']]);
});

test('a new agent leads at once if the old one is killed while it plans, or before it answers', async () => {
  for (const planned of [new Promise<void>(() => {}), Promise.resolve()]) {
    const { agent } = lock();
    const old = agent('old');
    old.turn = new Promise(() => {});
    await settle();
    const next = agent('new', { planned });
    await settle();
    expect(next.isLeading).toBe(false);
    old.kill();
    await settle();
    expect(next.log).toEqual(['prepare', 'lead']);
  }
});

test('a signal ends an agent that waits for the answer of a leader, which then goes on', async () => {
  const { agent } = lock();
  const old = agent('old');
  let endTurn = (): void => {};
  old.turn = new Promise(resolve => (endTurn = resolve));
  await settle();
  const next = agent('new');
  await settle();
  let hasEnded = false;
  void next.end().then(() => {
    hasEnded = true;
  });
  await settle();
  expect([hasEnded, next.log]).toEqual([true, ['prepare']]);
  endTurn();
  await settle();
  expect(old.log).toEqual(['lead', 'stopped', 'lead']);
});

test('a leader that does not answer for two minutes is not asked again, and leads on when it can', async () => {
  const { node, agent } = lock();
  const old = agent('old');
  let endTurn = (): void => {};
  old.turn = new Promise(resolve => (endTurn = resolve));
  await settle();
  const next = agent('new');
  await node.pass(119_000);
  expect(next.warned).toEqual([]);
  await node.pass(2_000);
  expect(next.warned).toEqual([expect.stringMatching(/does not step down: it has not answered for 120 s/)]);
  // The connection on which it was asked has ended, so a late answer gives the node to none but it.
  endTurn();
  await settle();
  expect([old.log, next.log]).toEqual([['lead', 'stopped', 'lead'], ['prepare']]);
  old.kill();
  await node.pass(50);
  expect(next.log).toEqual(['prepare', 'lead']);
});

test('two agents do not take turns: one that stepped down does not ask again', async () => {
  const { agent } = lock();
  const first = agent('first');
  await settle();
  const second = agent('second');
  await settle();
  const third = agent('third');
  await settle();
  expect([first.isLeading, second.isLeading, third.isLeading]).toEqual([false, false, true]);
  await settle();
  expect([first, second, third].map(({ log }) => log.length)).toEqual([2, 3, 2]);
  // The one that stepped down last leads again first.
  third.kill();
  await settle();
  expect([first.isLeading, second.isLeading]).toEqual([false, true]);
  second.kill();
  await settle();
  expect(first.isLeading).toBe(true);
});

test.each<[string, FakeAgentOptions, RegExp]>([
  [
    'in the same PID namespace',
    { pidNamespace: 'old' },
    /already runs on this node: version 9\.9\.9, process 1 in old/,
  ],
  ['with another --key-dir', { pidNamespace: 'new', stateDirectory: '1:2' }, /with another --key-dir already runs/],
])('a second agent %s ends with an error that names the first', async (_, options, says) => {
  const { agent } = lock();
  const old = agent('old');
  await settle();
  const second = agent('', options);
  await expect(second.result).rejects.toThrow(says);
  await expect(second.result).rejects.toMatchObject({ code: 'EBUSY' });
  expect([old.log, second.log]).toEqual([['lead'], []]);
});

const foreign = (kind: Holder['kind'], ended = new Promise<void>(() => {})): Holder => ({
  kind,
  description: 'process x',
  ended,
  askToStepDown: async () => 'no',
  close: () => {},
});

test('an agent leads without the lock if a process of another user has it, and says so', async () => {
  const { node, agent } = lock();
  node.foreign = foreign('stranger');
  const only = agent('only');
  await settle();
  expect(only.log).toEqual(['lead']);
  expect(only.warned).toEqual([expect.stringMatching(/process x has taken the name .* End that process/)]);
});

test('an agent leads without the lock if no process listens on its name for ten seconds', async () => {
  for (const holder of [undefined, foreign('deaf', Promise.resolve())]) {
    const { node, agent } = lock();
    node.isTaken = true;
    node.foreign = holder;
    const only = agent('only');
    await node.pass(9_000);
    expect([only.log, only.warned]).toEqual([[], []]);
    await node.pass(2_000);
    expect(only.log).toEqual(['lead']);
    expect(only.warned).toEqual([expect.stringMatching(/has taken the name .* End that process/)]);
    await only.end();
    expect(only.log).toEqual(['lead', 'stopped']);
  }
});

test.each<Holder['kind']>(['silent', 'closing'])('a %s leader is waited for, however long it takes', async kind => {
  const { node, agent } = lock();
  node.foreign = foreign(kind, Promise.resolve());
  const next = agent('new');
  await node.pass(15_000);
  expect(next.log).toEqual([]);
  expect(next.warned.length).toBeLessThanOrEqual(1);
  node.foreign = undefined;
  await node.pass(50);
  expect(next.log).toEqual(['lead']);
  await next.end();
});

test('an agent beside a stranger takes the lock once it is free, and can then be asked to step down', async () => {
  const { node, agent } = lock();
  node.foreign = foreign('stranger');
  const old = agent('old');
  await settle();
  node.foreign = undefined;
  await node.pass(1_000);
  expect([node.holder, old.log]).toEqual([old, ['lead']]);
  const next = agent('new');
  await settle();
  expect([old.log, next.log]).toEqual([
    ['lead', 'stopped'],
    ['prepare', 'lead'],
  ]);
});

test('of two agents beside a stranger, only one leads once it has gone', async () => {
  const { node, agent } = lock();
  node.foreign = foreign('stranger');
  const agents = [agent('a'), agent('b')];
  await settle();
  expect(agents.map(each => each.isLeading)).toEqual([true, true]);
  node.foreign = undefined;
  await node.pass(3_000);
  expect(agents.filter(each => each.isLeading)).toHaveLength(1);
  await Promise.all(agents.map(each => each.end()));
});

test('an agent beside a stranger ends on its signal', async () => {
  const { node, agent } = lock();
  node.foreign = foreign('stranger');
  const only = agent('only');
  await settle();
  await only.end();
  expect(only.log).toEqual(['lead', 'stopped']);
});

test('an agent waits for the end of one that cannot be asked, and says so once', async () => {
  const { node, agent } = lock();
  node.foreign = foreign('unreadable', new Promise(resolve => setImmediate(resolve)));
  const next = agent('new');
  await settle();
  expect(next.log).toEqual([]);
  expect(next.warned).toEqual([expect.stringMatching(/process x leads this node and cannot be asked/)]);
  node.foreign = undefined;
  await settle();
  expect(next.log).toEqual(['lead']);
});

test('an agent waits for the end of one that refuses', async () => {
  const { node, agent } = lock();
  let end = (): void => {};
  node.foreign = {
    ...foreign('agent', new Promise(resolve => (end = resolve))),
    agent: { version: '1', pidNamespace: 'old', pid: 1, stateDirectory: '1:1' },
  };
  const next = agent('new');
  await settle();
  expect([next.log, next.warned]).toEqual([['prepare'], [expect.stringContaining('does not step down: no')]]);
  node.foreign = undefined;
  end();
  await settle();
  expect(next.log).toEqual(['prepare', 'lead']);
});

test('a command for one action refuses to run beside an agent, and holds the lock until its end', async () => {
  const channelOf = (holder?: Holder) => {
    let free = holder === undefined;
    return {
      claim: async () => {
        if (!free) return undefined;
        free = false;
        const release = (): void => {
          free = true;
        };
        return { asked: new Promise<never>(() => {}), release };
      },
      contact: async () => holder,
    };
  };
  const warned: string[] = [];
  const warn = (text: string): void => void warned.push(text);
  await expect(leadFor({ channel: channelOf(foreign('agent')), warn }, async () => 1)).rejects.toThrow(
    /an agent runs on this node \(process x\)/,
  );
  expect(await leadFor({ channel: channelOf(foreign('stranger')), warn }, async () => 2)).toBe(2);
  expect(warned).toHaveLength(1);
  const channel = channelOf();
  expect(await leadFor({ channel, warn }, async () => await channel.claim())).toBeUndefined();
  expect(await channel.claim()).toBeDefined();
});
