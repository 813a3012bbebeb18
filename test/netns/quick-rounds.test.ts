/**
 * `wgts up --watch` with a name that has several addresses, and peers that answer at one of them.
 *
 * @module-tag slow
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { printed, type Running, sleep, until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
});
afterEach(() => lab?.close());

const [OWN, PEER, OTHER] = [keyPair(), keyPair(), keyPair()];
const NAME = `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${OWN.privateKey}\n
[Peer]\nPublicKey = ${PEER.publicKey}\nAllowedIPs = 10.7.0.0/16\nEndpoint = moving.example:41999\n`;

function hosts(...lines: readonly string[]): void {
  const folder = `/etc/netns/${host.namespace.name}`;
  lab.owns(folder);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost\n${lines.join('\n')}\n`);
}

const show = async (what: string, key = PEER.publicKey) => {
  const { stdout } = await host.namespace.run(['wg', 'show', host.name, what], { mayFail: true });
  return stdout
    .split('\n')
    .find(line => line.startsWith(key))
    ?.split('\t')[1];
};

function watch(): Running {
  return host.startWgts(['up', '--watch'], { WGTS_WATCH_INTERVAL: '0.3' });
}

/** Starts a peer at the other end of the cable that answers only at 192.0.2.1. */
async function startPeer(): Promise<void> {
  const name = lab.interfaceName();
  const far = await lab.namespace('peer');
  await host.namespace.ip(`link set eth1 netns ${far.name}`);
  await far.ip('addr add 192.0.2.1/24 dev eth1', 'link set eth1 up');
  const file = lab.file(
    `[Interface]\nPrivateKey = ${PEER.privateKey}\nListenPort = 41999\nTable = off\n[Peer]\nPublicKey = ${OWN.publicKey}\nAllowedIPs = 10.9.0.2/32\n`,
    `${name}.conf`,
  );
  await far.run([...WGTS, 'up', file]);
}

describeWith([...NETWORK, 'nft'], 'the addresses of a name', () => {
  it('are tried in turn while the peer is silent, without unreachable ones, until it answers', async () => {
    await host.namespace.ip('route del ::/0 via 2001:db8:1::1');
    hosts(...['192.0.2.3', '2001:db8:9::1', '192.0.2.202', '192.0.2.1'].map(address => `${address} moving.example`));
    host.write(`${NAME}PersistentKeepalive = 1\n`);
    await startPeer();
    const watching = watch();
    await until('a handshake', async () => Number((await show('latest-handshakes')) ?? 0) > 0);
    // The answer may arrive just as the next address is tried: then the old one is restored.
    await until('the address that answers', async () => (await show('endpoints')) === '192.0.2.1:41999');
    await printed(
      watching,
      /moving\.example:41999 is silent at 192\.0\.2\.[0-9]+:41999: trying 192\.0\.2\.[0-9]+:41999/,
    );
    expect(watching.output()).not.toContain('2001:db8:9::1');
    // Several checks later, and after a reload, a live peer keeps its address, and no name is
    // resolved.
    hosts('192.0.2.201 moving.example');
    process.kill(watching.pid, 'SIGHUP');
    await sleep(1_500);
    expect(await show('endpoints')).toBe('192.0.2.1:41999');
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
  });

  it('follow a changed answer, for several peers, and stay when the name is not found', async () => {
    // No route to any name server: a name that is not in the file fails at once.
    await host.namespace.ip('route del default via 192.0.2.1', 'route del ::/0 via 2001:db8:1::1');
    hosts('192.0.2.201 moving.example', '192.0.2.202 moving.example', '192.0.2.203 other.example');
    host.write(
      `${NAME}[Peer]\nPublicKey = ${OTHER.publicKey}\nEndpoint = other.example:7\n[Peer]\nPublicKey = ${keyPair().publicKey}\nEndpoint = nowhere.example:7\n`,
    );
    const watching = watch();
    const seen = new Set<string | undefined>();
    await until(
      'both addresses',
      async () => seen.add(await show('endpoints')).size > 1 && seen.has('192.0.2.202:41999'),
    );
    expect(await show('endpoints', OTHER.publicKey)).toBe('192.0.2.203:7');
    hosts('192.0.2.204 moving.example', '192.0.2.205 other.example');
    await until('the new address', async () => (await show('endpoints')) === '192.0.2.204:41999');
    await until("the other's", async () => (await show('endpoints', OTHER.publicKey)) === '192.0.2.205:7');
    hosts();
    await until('word of the failure', () => /moving\.example:41999.*cannot be resolved/.test(watching.output()));
    await sleep(1_000);
    expect(await show('endpoints')).toBe('192.0.2.204:41999');
    expect(await show('endpoints', OTHER.publicKey)).toBe('192.0.2.205:7');
    // Each failure is reported once, not at each check.
    expect(watching.output().match(/wgts: warning: endpoint .*moving\.example/g)).toHaveLength(1);
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
  });

  it('contribute only the first reachable one to up', async () => {
    await host.namespace.ip('route del ::/0 via 2001:db8:1::1');
    hosts('2001:db8:9::1 moving.example', '192.0.2.201 moving.example');
    host.write(NAME);
    expect((await host.wgts('up')).code).toBe(0);
    expect(await show('endpoints')).toBe('192.0.2.201:41999');
    expect((await host.wgts('down')).code).toBe(0);
  });
});
