/**
 * Behaviours 1 to 10 of the kernel's netns test: interfaces moved away from their sockets,
 * configured, and put under every kind of traffic at the usual and at a very large MTU, over IPv4
 * and IPv6.
 */
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SLOW } from '../support/selection.ts';
import { until } from './command.ts';
import { PROGRAM } from './device.ts';
import { type Moved, movedPair, PORT_ONE, PORT_TWO } from './moved.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B } from './pair.ts';
import { iperf, mustPing } from './traffic.ts';

const USUAL_MTU = 1420;
/**
 * Three times the largest jumbo frame of real hardware: no code may assume that a packet fits 16
 * KiB.
 */
const BIG_MTU = 34_816 - 1500 + USUAL_MTU;

describeWith([...NETWORK, 'iperf3'], `netns basics (${PROGRAM})`, () => {
  let lab: Moved;
  beforeAll(async () => {
    lab = await movedPair();
  });
  afterAll(() => lab?.close());

  it('#1: interfaces made in ns0 and moved to ns1 and ns2 are up there, and their sockets stay in ns0', async () => {
    const link = await lab.one.namespace.run(['ip', '-br', 'link', 'show', 'dev', lab.one.device.name]);
    expect(link.stdout).toContain('UP');
    const gone = await lab.ns0.run(['ip', 'link', 'show', 'dev', lab.one.device.name], { mayFail: true });
    expect(gone.code).not.toBe(0);
    const ports = await until('both sockets', async () => {
      const { stdout } = await lab.ns0.run(['ss', '-Hulnp']);
      const pids = [lab.one.device.process?.pid, lab.two.device.process?.pid];
      return pids.every(pid => stdout.includes(`pid=${pid},`)) ? stdout : undefined;
    });
    expect(ports).toMatch(new RegExp(`:${PORT_ONE}\\s`));
    expect(ports).toMatch(new RegExp(`:${PORT_TWO}\\s`));
  });

  it('#2: keys, preshared key, allowed-ips of both families and listen port read back as set', async () => {
    const dump = await lab.one.device.show('dump');
    const { keys } = lab.one;
    expect(dump.split('\n')).toEqual([
      [keys.privateKey, keys.publicKey, PORT_ONE, 'off'].join('\t'),
      [lab.two.keys.publicKey, lab.psk, '(none)', `${INNER_B[4]}/32,${INNER_B[6]}/128`, 0, 0, 0, 'off'].join('\t'),
    ]);
  });

  it('#6: byte counters after exactly ten pings count whole messages', async () => {
    await lab.aim(4);
    await mustPing(lab.one.namespace, INNER_B[4], { count: 10, interval: 0.1 });
    const one = await lab.one.device.peer();
    const two = await lab.two.device.peer();
    // 10 x 128 bytes, and 148 for the initiation or 92 for the response; 32 more is a keepalive
    // that confirmed the key.
    expect([1428, 1460]).toContain(one.tx);
    expect(two.rx).toBe(one.tx);
    expect(two.tx).toBe(1372);
    expect(one.rx).toBe(1372);
  });

  it('#7: the latest handshake has the current time', async () => {
    const now = Date.now() / 1000;
    for (const host of [lab.one, lab.two]) {
      const [, seconds] = (await host.device.show('latest-handshakes')).split('\t');
      expect(Math.abs(Number(seconds) - now)).toBeLessThan(3600);
    }
  });

  // Ends with the usual MTU, to test shrinking too.
  for (const outer of [4, 6] as const) {
    for (const mtu of [USUAL_MTU, BIG_MTU]) {
      const behaviour = outer === 6 ? '#10' : mtu === USUAL_MTU ? '#8' : '#9';
      const setting = `MTU ${mtu} over IPv${outer}`;
      const tags = outer === 4 && mtu === USUAL_MTU ? [] : SLOW;

      it(`${behaviour} #3: flood pings pass both ways, IPv4 and IPv6 inside, ${setting}`, async () => {
        await lab.aim(outer);
        await lab.one.device.mtu(mtu);
        await lab.two.device.mtu(mtu);
        const largest = mtu - 48;
        for (const family of [4, 6] as const) {
          await mustPing(lab.two.namespace, INNER_A[family], { count: 10, flood: true });
          await mustPing(lab.one.namespace, INNER_B[family], { count: 10, flood: true });
          await mustPing(lab.one.namespace, INNER_B[family], { count: 3, size: largest });
        }
      });

      it(`${behaviour} #4: TCP, UDP at full speed, and zero-copy TCP pass, ${setting}`, { tags }, async () => {
        const { one, two } = lab;
        expect(await iperf(two.namespace, one.namespace, INNER_A[4])).toBeGreaterThan(0);
        expect(await iperf(one.namespace, two.namespace, INNER_B[6])).toBeGreaterThan(0);
        expect(await iperf(one.namespace, two.namespace, INNER_B[4], { udp: true })).toBeGreaterThan(0);
        expect(await iperf(two.namespace, one.namespace, INNER_A[6], { udp: true })).toBeGreaterThan(0);
        expect(await iperf(one.namespace, two.namespace, INNER_B[4], { zeroCopy: true })).toBeGreaterThan(0);
      });

      it(`${behaviour} #5: parallel TCP streams, one for each processor, pass, ${setting}`, { tags }, async () => {
        const parallel = Math.max(2, availableParallelism());
        expect(await iperf(lab.one.namespace, lab.two.namespace, INNER_B[4], { parallel })).toBeGreaterThan(0);
      });
    }
  }

  it('#9: all traffic still passes back at the usual MTU', async () => {
    await lab.one.device.mtu(USUAL_MTU);
    await lab.two.device.mtu(USUAL_MTU);
    await mustPing(lab.one.namespace, INNER_B[4], { count: 10, flood: true });
    expect(await iperf(lab.one.namespace, lab.two.namespace, INNER_B[6])).toBeGreaterThan(0);
  });
});
