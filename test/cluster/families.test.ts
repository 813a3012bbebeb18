/**
 * IPv6 alone, and both families at once, each with its own device, key and port: encrypted within
 * ten seconds, then nothing in the clear.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab } from './lab.ts';
import { KEY, nodeAddress, nodeName, path, podAddress } from './objects.ts';

const NODES = [1, 2, 3];
/** Milliseconds. */
const LIMIT = HANG_MS;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'ping', 'nft', 'wg', 'unshare'] as const;
const SWITCH = { 4: 'wireguardEnabled', 6: 'wireguardEnabledV6' } as const;
const LINK = { 4: 'tunl-wg.cali', 6: 'tunl-wg6.cali' } as const;
const PORT = { 4: 51820, 6: 51821 } as const;

describeCluster('families', () => inOwnNamespace(import.meta.url, NEEDS, body, { show: 'families:' }));

function body(): void {
  describe.each([[[6]], [[4, 6]]] as const)('IPv%s', families => {
    let lab: ClusterLab;
    let encryptedSince = 0;
    const say = (text: string): void => console.log(`families: IPv${families.join(' and IPv')}: ${text}`);
    const nothingInTheClear = async (): Promise<void> => {
      const leaked = await lab.plaintext.between(encryptedSince);
      expect(leaked.slice(0, 5), `${leaked.length} packets of pods in the clear`).toEqual([]);
    };
    const allOf = (value: boolean): object => Object.fromEntries(families.map(family => [SWITCH[family], value]));

    beforeAll(async () => {
      lab = await ClusterLab.start(families);
      await Promise.all(NODES.map(index => lab.addNode(index)));
      for (const index of NODES) await lab.addBlocks(index);
      for (const index of NODES) lab.startAgent(lab.node(index));
      for (const index of NODES) await lab.startTraffic(await lab.addPod(index));
      for (const index of NODES)
        await until('an agent', async () => (await lab.ready(lab.node(index)))?.phase === 'running', HANG_MS, 100);
      await lab.talk.untilAllTalk();
    });
    afterAll(() => lab?.close());

    test('all pairs are encrypted after the switch', async () => {
      expect(lab.talk.pairs()).toHaveLength(6 * families.length);
      const begin = Date.now();
      await lab.felix(allOf(true));
      for (const index of NODES)
        for (const family of families) await until('a key', () => lab.keyOf(index, family), LIMIT);
      await sleep(1000);
      await lab.talk.untilAllTalk();
      const last = (await lab.plaintext.between(begin)).at(-1)!.time;
      encryptedSince = last + 1;
      await sleep(500);
      await nothingInTheClear();
      const longest = Math.max(lab.talk.measure(begin).longest, 150);
      say(
        `the last packet in the clear after ${Math.round(last - begin)} ms; no pair silent for more than ${longest} ms`,
      );
      const { code, stdout } = await lab.verify();
      expect(code, stdout).toBe(0);
    });

    test.each(families)('IPv%s has its rule, its routes, its port and its key', async family => {
      const node = lab.node(1);
      const shown = async (...argv: string[]): Promise<string> => (await run(lab.inside(node, argv))).stdout;
      expect(await shown('ip', `-${family}`, 'rule', 'show', 'priority', '99')).toBe(
        '99:\tnot from all fwmark 0x1000/0x1000 lookup 51820\n',
      );
      const routes = await shown('ip', `-${family}`, 'route', 'show', 'table', '51820');
      expect(routes).toMatch(
        family === 4
          ? /^10\.244\.2\.0\/26 dev tunl-wg\.cali scope link/m
          : /^fd10:244:2::\/122 dev tunl-wg6\.cali metric 1024/m,
      );
      expect(routes).toMatch(family === 4 ? /^throw 10\.244\.1\.0\/26/m : /^throw fd10:244:1::\/122/m);
      expect(await shown('wg', 'show', LINK[family], 'listen-port')).toBe(`${PORT[family]}\n`);
      const key = (await shown('wg', 'show', LINK[family], 'public-key')).trim();
      expect(await lab.keyOf(1, family)).toBe(key);
      const host = family === 4 ? '172.20.0.2:51820' : '[fd20::2]:51821';
      expect(await shown('wg', 'show', LINK[family], 'endpoints')).toContain(`\t${host}\n`);
    });

    test('a cleared or overwritten key is restored, in one family without the other', async () => {
      for (const family of families) {
        const before = await lab.annotations(2);
        await lab.annotate(2, { [KEY[family]]: null });
        await until('the key', async () => (await lab.keyOf(2, family)) === before[KEY[family]]);
        expect(await lab.annotations(2)).toEqual(before);
      }
      await lab.talk.untilAllTalk();
      await sleep(300);
      encryptedSince = Date.now();
    });

    test('node 3 disabled for itself: 1-2 encrypted, 1-3 plain both ways; host to pod encrypted where both ends are enabled alone', async () => {
      for (const index of [1, 2])
        await lab.annotate(
          index,
          Object.fromEntries(
            families.map(family => [
              `projectcalico.org/IPv${family}WireguardInterfaceAddr`,
              podAddress(index, family, 1),
            ]),
          ),
        );
      await lab.felixOf(nodeName(3), Object.fromEntries(families.map(family => [SWITCH[family], false])));
      for (const family of families) {
        await until('no key', async () => (await lab.keyOf(3, family)) === undefined, LIMIT);
        for (const index of [1, 2]) {
          const argv = ['ip', '-o', 'address', 'show', 'dev', LINK[family]];
          const has = async (): Promise<boolean> =>
            (await run(lab.inside(lab.node(index), argv))).stdout.includes(` ${podAddress(index, family, 1)}/`);
          await until('the address of the tunnel', has, LIMIT, 100);
        }
      }
      await sleep(500);
      await lab.talk.untilAllTalk();
      const since = Date.now();
      await lab.talk.untilAllTalk();
      for (const family of families)
        for (const [from, to] of [
          [1, 2],
          [1, 3],
          [3, 1],
        ] as const)
          await lab.node(from).namespace.run(['ping', '-c', '2', '-i', '0.2', '-W', '2', podAddress(to, family)]);
      await sleep(300);
      const pairs = (await lab.plaintext.between(since)).map(({ source, destination }) => `${source} ${destination}`);
      const bothWays = (one: string, other: string): readonly string[] => [`${one} ${other}`, `${other} ${one}`];
      const plain = families.flatMap(family => [
        ...[1, 2].flatMap(index => bothWays(podAddress(index, family), podAddress(3, family))),
        ...bothWays(nodeAddress(1, family), podAddress(3, family)),
        ...bothWays(nodeAddress(3, family), podAddress(1, family)),
      ]);
      expect([...new Set(pairs)].sort()).toEqual(plain.sort());
      await lab.plane.api('DELETE', path('FelixConfiguration', `node.${nodeName(3)}`));
      for (const family of families) await until('a key', () => lab.keyOf(3, family), LIMIT);
      await sleep(1000);
      await lab.talk.untilAllTalk();
      encryptedSince = Date.now();
      await sleep(500);
      await nothingInTheClear();
    });

    test('a borrowed address, and a killed agent', async () => {
      await lab.allocate(1, { 2: 1, 9: 2 });
      await lab.startTraffic(await lab.addPod(2, 1, 9));
      await lab.node(3).agent!.stop('SIGKILL');
      await sleep(300);
      lab.startAgent(lab.node(3));
      await until('the agent', async () => (await lab.ready(lab.node(3)))?.ready === true, LIMIT, 100);
      await lab.talk.untilAllTalk();
      await sleep(300);
      await nothingInTheClear();
      for (const family of families) {
        const route = await run([
          'ip',
          '-n',
          lab.node(2).namespace.name,
          `-${family}`,
          'route',
          'show',
          'table',
          '51820',
          podAddress(1, family, 9),
        ]);
        expect(route.stdout).toMatch(/^throw /);
      }
    });

    if (families.length > 1)
      test('one family switched off: the other stays encrypted', async () => {
        await lab.felix({ wireguardEnabledV6: false });
        for (const index of NODES) await until('no key', async () => (await lab.keyOf(index, 6)) === undefined, LIMIT);
        await sleep(500);
        await lab.talk.untilAllTalk();
        const seen = await lab.plaintext.between(encryptedSince);
        expect(seen.filter(({ source }) => !source.includes(':'))).toEqual([]);
        expect(seen.filter(({ source }) => source.includes(':')).length).toBeGreaterThan(0);
        // A family that is not requested is not a problem.
        const { code, stdout } = await lab.verify();
        expect(code, stdout).toBe(0);
        expect(stdout).not.toContain('IPv6');
      });

    test('switched off: traffic continues in the clear, and nothing is left behind', async () => {
      await lab.felix(allOf(false));
      for (const index of NODES)
        for (const family of families)
          await until('no key', async () => (await lab.keyOf(index, family)) === undefined, LIMIT);
      await sleep(500);
      await lab.talk.untilAllTalk();
      const settled = Date.now();
      await sleep(300);
      expect(await lab.encrypted.between(settled)).toEqual([]);
      expect((await lab.plaintext.between(settled)).length).toBeGreaterThan(0);
      const { namespace } = lab.node(1);
      for (const argv of [
        ['ip', '-o', 'link'],
        ['ip', 'rule'],
        ['ip', '-6', 'rule'],
        ['nft', 'list', 'ruleset'],
      ])
        expect((await namespace.run(argv)).stdout).not.toMatch(/tunl-wg|51820|wireguard-ts/);
    });
  });
}
