/** The lock of an interface: between processes, beside strangers, and beside the agents' lock. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AGENT_LOCK, abstractName } from '../../src/base/abstract-name.ts';
import { withLock } from '../../src/host/interface-lock.ts';
import { runPath } from '../../src/host/run-state.ts';
import { testWith } from '../netns/needs.ts';
import { bindOnly } from '../support/bound-socket.ts';

const STRANGER = 65534;
const nothing = async () => {};
let name: string;
let tests = 0;
let end: (() => void)[];
beforeEach(() => {
  name = `t${process.pid}.${tests++}`;
  end = [() => rmSync(runPath(name, 'lock'), { force: true })];
});
afterEach(() => {
  for (const each of end.reverse()) each();
});

/** Takes the name of the lock, as an older version does. */
async function take(): Promise<() => void> {
  const server = createServer(socket => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject).listen(abstractName(`wireguard-ts/${name}`), resolve);
  });
  return () => void server.close();
}
const stranger = async () => STRANGER;
const root = async () => 0;
const isBusy = { code: 'EBUSY', message: expect.stringMatching(/^another wgts is at work on t/) };

test('a lock belongs to one process at a time, and ends with it', async () => {
  await withLock(name, () =>
    expect(withLock(name, nothing)).rejects.toMatchObject({
      code: 'EBUSY',
      message: `another wgts is at work on ${name} (process ${process.pid})`,
    }),
  );
  const module = fileURLToPath(new URL('../../dist/host/interface-lock.js', import.meta.url));
  const script = `const { withLock } = await import(${JSON.stringify(module)}); await withLock('${name}', () => process.kill(process.pid, 'SIGKILL'));`;
  const killed = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  await expect(killed).rejects.toMatchObject({ signal: 'SIGKILL' });
  await withLock(name, nothing);
  expect(existsSync(runPath(name, 'lock'))).toBe(false);
});

test('a name that an older version has, or one without a known owner, is busy', async () => {
  end.push(await take());
  await expect(withLock(name, nothing)).rejects.toMatchObject(isBusy);
  await expect(withLock(name, nothing, { ownerOf: async () => undefined })).rejects.toMatchObject(isBusy);
  expect(existsSync(runPath(name, 'lock'))).toBe(false);
});

test("a stranger's name keeps no process out, and one at a time has the lock", async () => {
  end.push(await take());
  await withLock(
    name,
    async () => {
      await expect(withLock(name, nothing, { ownerOf: stranger })).rejects.toMatchObject(isBusy);
    },
    { ownerOf: stranger },
  );
  await withLock(name, nothing, { ownerOf: stranger });
});

test('a process that has the name waits for one that began beside a stranger', async () => {
  const free = await take();
  await withLock(
    name,
    async () => {
      free();
      await expect(withLock(name, nothing)).rejects.toMatchObject(isBusy);
    },
    { ownerOf: stranger },
  );
  await withLock(name, nothing);
});

test('a process that finds the name free after a stranger takes it, so that older versions wait', async () => {
  const free = await take();
  let asked = 0;
  const ownerOf = async () => {
    if (asked++ === 0) free();
    return STRANGER;
  };
  const older = await withLock(name, () => take().then(() => 'taken', String), { ownerOf }).catch(String);
  expect(older).toMatch(/EADDRINUSE/);
});

test('a process beside a stranger yields to one that got the name before the file was there', async () => {
  end.push(await take());
  let asked = 0;
  const ownerOf = () => (asked++ === 0 ? stranger() : root());
  await expect(withLock(name, nothing, { ownerOf })).rejects.toMatchObject(isBusy);
  expect(asked).toBe(2);
  // The file's lock is free again.
  await withLock(name, nothing, { ownerOf: stranger });
});

testWith(['root', 'addon'], 'a real process of another user keeps no process out', async () => {
  const address = JSON.stringify(abstractName(`wireguard-ts/${name}`));
  const script = `process.setuid(${STRANGER}); require('net').createServer(s => s.destroy()).listen(${address}, () => console.log('ready'));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  end.push(() => child.kill('SIGKILL'));
  await new Promise(resolve => child.stdout.once('data', resolve));
  let ran = 0;
  await withLock(name, async () => void ran++);
  expect(ran).toBe(1);
});

test('a process of root that has the name without listening is waited for', async () => {
  end.push(bindOnly(abstractName(`wireguard-ts/${name}`)));
  await expect(withLock(name, nothing)).rejects.toMatchObject(isBusy);
});

test('an interface with the name of the agents’ lock has another lock', async () => {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(abstractName(AGENT_LOCK), resolve));
  end.push(() => server.close());
  name = 'calico-agent';
  let ran = 0;
  await withLock(name, async () => {
    ran++;
    await expect(withLock(name, nothing)).rejects.toMatchObject({ code: 'EBUSY' });
  });
  expect(ran).toBe(1);
});
