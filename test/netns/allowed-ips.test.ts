/**
 * Behaviours 31 to 35 and 40 of the kernel's netns test: many allowed-ips and many peers read back
 * completely, in their groups and in order; single prefixes can be removed; overlapping prefixes
 * replace each other and move.
 *
 * @module-tag slow
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Device, PROGRAM, startDevice } from './device.ts';
import { keyPair, toHex } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { errnoOf, uapi, valuesOf } from './uapi.ts';

describeWith(NETWORK, `allowed-ips (${PROGRAM})`, () => {
  let lab: Lab;
  let host: Namespace;
  let device: Device;
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('ips');
    device = await startDevice(lab, host);
    await device.set({ privateKey: keyPair().privateKey });
  });
  afterEach(() => lab?.close());

  /** Adds peers and their allowed-ips with `wg addconf`. */
  async function add(peers: readonly (readonly [publicKey: string, allowedIps: readonly string[]])[]): Promise<void> {
    const text = peers.map(
      ([publicKey, ips]) => `[Peer]\nPublicKey = ${publicKey}\n${ips.map(ip => `AllowedIPs = ${ip}\n`).join('')}`,
    );
    await device.wg('addconf', device.name, lab.file(text.join('')));
  }

  /** Returns the lines of `wg show allowed-ips`: the key and its prefixes. */
  async function shown(): Promise<string[][]> {
    return (await device.show('allowed-ips')).split('\n').map(line => line.split(/[\t ]/));
  }

  it('#31: 130,560 allowed-ips on one peer read back', async () => {
    const peer = keyPair().publicKey;
    const ips: string[] = [];
    for (let i = 0; i < 255; i += 1) {
      for (let j = 0; j < 256; j += 1) {
        ips.push(`${i}.${j}.0.0/16`, canonical(`abcd:${i.toString(16)}:${j.toString(16)}::/48`));
      }
    }
    await add([[peer, ips]]);
    const words = (await device.show('allowed-ips')).split(/\s+/);
    expect(words.length).toBe(130_561);
    expect(words[0]).toBe(peer);
    expect(new Set(words.slice(1))).toEqual(new Set(ips));
  });

  it('#32: 40 peers with 52 allowed-ips each read back', async () => {
    const peers = Array.from({ length: 40 }, (_, i) => {
      const four = Array.from({ length: 25 }, (_, j) => `10.${i}.${j}.0/24`);
      const six = Array.from({ length: 27 }, (_, j) => canonical(`fd00:${i.toString(16)}:${j.toString(16)}::/48`));
      return [keyPair().publicKey, [...four, ...six]] as const;
    });
    await add(peers);
    const back = new Map((await shown()).map(([key, ...ips]) => [key, ips]));
    expect(back.size).toBe(40);
    for (const [key, ips] of peers) expect(new Set(back.get(key))).toEqual(new Set(ips));
  });

  it('#33: of 30 peers only the last has allowed-ips; showconf succeeds and its output loads again', async () => {
    const peers = Array.from({ length: 30 }, () => [keyPair().publicKey, [] as string[]] as const);
    peers[29]?.[1].push('1.2.3.4/32', 'abcd::1/128');
    await add(peers);
    const conf = await device.wg('showconf', device.name);
    expect(conf.match(/^\[Peer\]$/gm)?.length).toBe(30);
    expect(conf).toMatch(/^AllowedIPs = .*1\.2\.3\.4\/32/m);
    const before = (await shown()).sort();
    await device.wg('setconf', device.name, lab.file(conf));
    expect((await shown()).sort()).toEqual(before);
  });

  it('#34: a first peer without allowed-ips and a second with 197 keep their groups', async () => {
    const first = keyPair().publicKey;
    const second = keyPair().publicKey;
    const ips = Array.from({ length: 197 }, (_, i) => canonical(`abcd:${i.toString(16)}::/64`));
    await add([
      [first, []],
      [second, ips],
    ]);
    const lines = await shown();
    expect(lines.find(([key]) => key === first)).toEqual([first, '(none)']);
    expect(new Set(lines.find(([key]) => key === second))).toEqual(new Set([second, ...ips]));
    expect(lines.length).toBe(2);
  });

  it('#35: a minus sign removes single allowed-ips, only from their owner: 394 less 6 are 388', async () => {
    const owner = keyPair().publicKey;
    const other = keyPair().publicKey;
    const ips = Array.from({ length: 197 }, (_, i) => [
      `10.0.${i}.0/24`,
      canonical(`abcd:${i.toString(16)}::/64`),
    ]).flat();
    await add([
      [owner, ips],
      [other, ['172.16.0.0/12']],
    ]);
    const removed = ['10.0.0.0/24', '10.0.100.0/24', '10.0.196.0/24', 'abcd::/64', 'abcd:64::/64', 'abcd:c4::/64'];
    const lines = removed.map(ip => `allowed_ip=-${ip}\n`).join('');
    // A prefix of another peer, or of none, has no effect and gives no error.
    const foreign = 'allowed_ip=-172.16.0.0/12\nallowed_ip=-192.0.2.0/24\n';
    expect(errnoOf(await uapi(device.socket, `set=1\npublic_key=${toHex(owner)}\n${lines}${foreign}\n`))).toBe(0);
    const back = new Map((await shown()).map(([key, ...rest]) => [key, rest]));
    expect(back.get(owner)?.length).toBe(388);
    expect(new Set(back.get(owner))).toEqual(new Set(ips.filter(ip => !removed.includes(ip))));
    expect(back.get(other)).toEqual(['172.16.0.0/12']);
  });

  it('#40: overlapping prefixes of both families can be inserted, replaced, and moved between peers', async () => {
    const a = keyPair().publicKey;
    const b = keyPair().publicKey;
    const wide = ['0.0.0.0/0', '10.0.0.0/8', '100.0.0.0/10', '172.16.0.0/12', '192.168.0.0/16'];
    const wideSix = ['::/0', 'dead:beef::/111', 'a000::/4', 'f0f0:f0f0:f000::/37', '2001:db8:0:0:80::/75'];
    await device.set({ peers: [{ publicKey: a, allowedIps: [...wide, ...wideSix] }] });
    expect(new Set((await device.peer(a)).allowedIps)).toEqual(new Set([...wide, ...wideSix]));
    const narrow = ['0.0.0.0/1', '10.0.0.0/9', '100.0.0.0/10', '::/0', 'a000::/5'];
    await device.set({ peers: [{ publicKey: a, allowedIps: narrow }] });
    expect(new Set((await device.peer(a)).allowedIps)).toEqual(new Set(narrow));
    // Host bits are cleared, and a prefix that b claims leaves a.
    await device.set({ peers: [{ publicKey: b, allowedIps: ['10.1.2.3/9', '::1/0', '2001:db8::ffff/128'] }] });
    expect(new Set((await device.peer(a)).allowedIps)).toEqual(new Set(['0.0.0.0/1', '100.0.0.0/10', 'a000::/5']));
    expect(new Set((await device.peer(b)).allowedIps)).toEqual(new Set(['10.0.0.0/9', '::/0', '2001:db8::ffff/128']));
    const answer = await uapi(device.socket, 'get=1\n\n');
    expect(valuesOf(answer, 'allowed_ip').length).toBe(6);
  });
});

/** Formats a prefix's address like inet_ntop. */
function canonical(prefix: string): string {
  const [address, length] = prefix.split('/') as [string, string];
  if (!address.includes(':')) return prefix;
  return `${new URL(`http://[${address}]`).hostname.slice(1, -1)}/${length}`;
}
