/**
 * Runs the commands of docs/en/moving.md and of the README's "Use", in their order, on a machine
 * that has wireguard-go and wg-quick too. The expected result of each block is next to its name.
 *
 * @module-tag slow
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Commands, guides, page, REPOSITORY } from '../support/guide.ts';
import type { Result } from './command.ts';
import { GuideMachine } from './guide-machine.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

interface Check {
  /** Commands that establish the reader's situation at this point. */
  readonly before?: string;
  readonly after: (ran: Result) => unknown;
}

const MOVING = guides('en').find(({ name }) => name === 'moving.md')!;
const README = page('README.md');
const KEYS = `PrivateKey = ${keyPair().privateKey}\nListenPort = 51820`;
const PEER = `[Peer]\nPublicKey = ${keyPair().publicKey}\nAllowedIPs = 10.8.0.2/32`;
const DROP_IN = '/etc/systemd/system/wg-quick@wg0.service.d/wireguard-ts.conf';

let lab: Lab;
let machine: GuideMachine;
let folder: string;

const MOVES: Readonly<Record<string, Check>> = {
  'look before the move': { after: ({ stdout }) => expect(stdout).toContain('/dev/net/tun        is there') },
  'move to wireguard-ts under wg-quick': { before: 'wg-quick up wg0', after: () => expectRunner('wireguard-ts') },
  'the drop-in for wg-quick': {
    after: async () =>
      expect((await machine.shell(`cat ${DROP_IN}`)).stdout).toBe(
        '[Service]\nEnvironment=WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-ts\n',
      ),
  },
  'back to wireguard-go': {
    after: async () => {
      expect((await machine.shell(`cat ${DROP_IN}`)).code).not.toBe(0);
      await expectRunner('wireguard-go');
    },
  },
  'move to wgts up': { after: () => expectRunner('wireguard-ts') },
  'back to wg-quick': { after: () => expectRunner('wireguard-go') },
  'a script with wireguard-go': { before: 'wg-quick down wg0', after: () => expectRunner('wireguard-go') },
  'the same script with wireguard-ts': { before: removeDevice(), after: () => expectRunner('wireguard-ts') },
};

const USES: Readonly<Record<string, Check>> = {
  'wgts up and down': {
    before: removeDevice(),
    after: ({ stdout }) => expect(stdout).toContain('listening port: 51820'),
  },
  'wg-quick with our program': { after: ({ stderr }) => expect(stderr).toContain('wireguard-ts wg0') },
  'a device by hand': {
    after: async () => {
      await expectRunner('wireguard-ts');
      expect((await machine.shell('ip link show wg0')).stdout).toContain('UP');
    },
  },
};

describeWith([...NETWORK, 'wg-quick', 'wireguard-go', 'bash', 'unshare'], 'moving', () => {
  beforeAll(async () => {
    lab = new Lab();
    folder = join(lab.directory, 'folder');
    mkdirSync(folder);
    writeFileSync(join(folder, 'wg0.conf'), `[Interface]\n${KEYS}\n${PEER}\n`);
    machine = await GuideMachine.start(lab, 'moving', join(REPOSITORY, 'bin'));
    const file = `[Interface]\nAddress = 10.8.0.1/24\n${KEYS}\n${PEER}\n`;
    await machine.shell('umask 077; mkdir -p /etc/wireguard; cat > /etc/wireguard/wg0.conf', { input: file });
  });
  afterAll(() => lab?.close());

  for (const [name, commands, checks] of [
    ['docs/en/moving.md', MOVING.commands, MOVES],
    ['README.md', README.commands, USES],
  ] as const)
    describe(name, () => {
      const blocks = commands.filter(({ marker }) => marker?.kind === 'run' && marker.says in checks);
      it.each(blocks.map(block => [block.marker!.says, block] as const))('%s', (_, block) => follow(block, checks));

      it('every check belongs to a block', () => {
        expect(blocks.map(({ marker }) => marker!.says)).toEqual(Object.keys(checks));
      });
    });
});

async function follow({ marker, text }: Commands, checks: Readonly<Record<string, Check>>): Promise<void> {
  const { before, after } = checks[marker!.says]!;
  if (before !== undefined) expect(await machine.shell(before, { cwd: folder })).toMatchObject({ code: 0 });
  const ran = await machine.shell(text, { cwd: folder });
  expect(ran.code, ran.stderr).toBe(0);
  await after(ran);
}

/** A function declaration, because the tables above use it. */
function removeDevice(): string {
  return 'ip link delete wg0; while [ -e /run/wireguard/wg0.sock ]; do sleep 0.1; done';
}

/** Only our program counts drops. Where the kernel has WireGuard, wg-quick takes the kernel's. */
async function expectRunner(program: 'wireguard-ts' | 'wireguard-go'): Promise<void> {
  const { stdout, stderr } = await machine.shell('wgts show wg0 --json');
  expect(stderr).toBe('');
  const { kind, counters, listenPort } = JSON.parse(stdout) as {
    kind: string;
    counters: object | null;
    listenPort: number;
  };
  expect(listenPort).toBe(51820);
  if (kind === 'userspace') expect(counters !== null).toBe(program === 'wireguard-ts');
}
