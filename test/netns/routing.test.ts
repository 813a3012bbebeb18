/**
 * Behaviours 20, 21, 24, 25, 29 and 30 of the kernel's netns test: the effects of the host's
 * routing, marks and NAT on a tunnel.
 */
import { afterEach, expect, it } from 'vitest';
import { PROGRAM } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, type Pair, PORT_A, PORT_B, tunnelPair } from './pair.ts';
import { mustPing } from './traffic.ts';

const FAR = ['192.168.99.7', 'abab::1111'] as const;

describeWith([...NETWORK, 'nft'], `routing around a tunnel (${PROGRAM})`, () => {
  let pair: Pair | undefined;
  afterEach(async () => {
    await pair?.close();
    pair = undefined;
  });

  it('#20 and #21: works bound to the interface, with a mark that changes on the way out, and with both', async () => {
    pair = await tunnelPair();
    const { a } = pair;
    const bound = () => a.namespace.run(['ping', '-n', '-I', a.device.name, '-c', '2', '-W', '5', INNER_B[4]]);
    await bound();
    await a.namespace.nft(
      `table inet marks {
 chain out {
 type route hook output priority mangle;
 meta mark set 1;
 }
 }`,
    );
    await mustPing(a.namespace, INNER_B[4]);
    await bound();
  });

  it('#24: works when all routes except for marked packets lead into the tunnel, as wg-quick sets them', async () => {
    pair = await tunnelPair();
    const { a, b } = pair;
    await b.namespace.ip(`addr add ${FAR[0]}/32 dev lo`, `addr add ${FAR[1]}/128 dev lo nodad`);
    await a.namespace.sysctl('net.ipv4.conf.all.src_valid_mark=1');
    await a.device.set({
      fwmark: 51820,
      peers: [{ publicKey: b.keys.publicKey, allowedIps: ['0.0.0.0/0', '::/0'] }],
    });
    for (const family of ['-4', '-6'])
      for (const line of [
        `route add default dev ${a.device.name} table 51820`,
        'rule add not fwmark 51820 table 51820',
        'rule add table main suppress_prefixlength 0',
      ])
        await a.namespace.run(['ip', family, ...line.split(' ')]);
    for (const address of FAR) await mustPing(a.namespace, address, { count: 100, flood: true });
    // The endpoint itself is on the cable, which still carries the marked datagrams.
    expect((await a.device.peer()).endpoint).toBe(`10.0.0.2:${PORT_B}`);
  });

  it('#25: a host behind NAT gets an error when its packets have no peer', async () => {
    pair = await tunnelPair();
    const { lab, a, b } = pair;
    const behind = await lab.namespace('c');
    await lab.cable(behind, 'eth0', ['10.9.0.2/24'], a.namespace, 'eth9', ['10.9.0.100/24']);
    await behind.ip(`route add ${INNER_B[4]}/32 via 10.9.0.100`);
    await a.namespace.sysctl('net.ipv4.ip_forward=1');
    await a.namespace.nft(
      `table ip nat {
 chain post {
 type nat hook postrouting priority srcnat;
 ip saddr 10.9.0.0/24 ip daddr ${INNER_B[4]} snat to ${INNER_A[4]};
 }
 }`,
    );
    await mustPing(behind, INNER_B[4]);
    await a.device.set({ peers: [{ publicKey: b.keys.publicKey, remove: true }] });
    const { stdout } = await behind.run(['ping', '-n', '-c', '1', '-W', '2', INNER_B[4]], { mayFail: true });
    expect(stdout).toMatch(/^From \S+ icmp_seq=1 Destination Host Unreachable$/m);
  });

  it('#29: a packet to an address of another interface is answered from that address', async () => {
    pair = await tunnelPair({ initiator: 'b' });
    const { a, b } = pair;
    await a.namespace.ip('addr add 10.50.0.1/32 dev lo');
    await b.namespace.ip('route add 10.50.0.0/24 via 10.0.0.1');
    await b.device.set({ peers: [{ publicKey: a.keys.publicKey, endpoint: `10.50.0.1:${PORT_A}` }] });
    await mustPing(b.namespace, INNER_A[4], { count: 3 });
    expect((await b.device.peer()).endpoint).toBe(`10.50.0.1:${PORT_A}`);
  });

  it("#30: switches to a better route by another interface, with that interface's address", async () => {
    pair = await tunnelPair();
    const { lab, a, b } = pair;
    await lab.cable(a.namespace, 'eth1', ['10.0.2.3/24'], b.namespace, 'eth1', ['10.0.2.2/24']);
    await b.namespace.ip('addr add 10.77.0.1/32 dev lo');
    await a.namespace.ip('route add 10.77.0.1/32 via 10.0.0.2 metric 100');
    await a.device.set({ peers: [{ publicKey: b.keys.publicKey, endpoint: `10.77.0.1:${PORT_B}` }] });
    await mustPing(a.namespace, INNER_B[4], { count: 2 });
    expect((await b.device.peer()).endpoint).toBe(`10.0.0.1:${PORT_A}`);
    await a.namespace.ip('route add 10.77.0.1/32 via 10.0.2.2 metric 10');
    await mustPing(a.namespace, INNER_B[4], { count: 2 });
    expect((await b.device.peer()).endpoint).toBe(`10.0.2.3:${PORT_A}`);
    await a.namespace.ip('route del 10.77.0.1/32 via 10.0.2.2 metric 10');
    await mustPing(a.namespace, INNER_B[4], { count: 2 });
    expect((await b.device.peer()).endpoint).toBe(`10.0.0.1:${PORT_A}`);
  });
});
