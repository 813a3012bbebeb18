/**
 * `wgts up --watch` under traffic, whose device process is killed again and again: how soon traffic
 * is back, that nothing leaves in the clear, and that nothing is left. WG_TEST_KILLS sets the
 * number of kills (default 5).
 *
 * @module-tag slow
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MEMORY_GROUPS, MEMORY_LIMIT_FILE } from '../support/memory-group.ts';
import { HANG_MS } from '../support/patience.ts';
import { capture } from './capture.ts';
import { type Running, sleep, start, until } from './command.ts';
import { type Device, startDevice } from './device.ts';
import { type KeyPair, keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

const KILLS = Number(process.env['WG_TEST_KILLS'] ?? 5);
/** One probe in this time: the resolution of the measurement. */
const PROBE_MS = 10;
const PEER_INNER = '10.9.0.1';
const GROUP_LIMIT = 32 << 20;

let lab: Lab;
let host: QuickHost;
let other: Namespace;
let peer: Device;
let keys: { readonly ours: KeyPair; readonly peer: KeyPair };
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
  other = await lab.namespace('other');
  await host.namespace.ip('link set eth1 netns '.concat(other.name));
  await other.ip('addr add 192.0.2.1/24 dev eth1', 'link set eth1 up');
  keys = { ours: keyPair(), peer: keyPair() };
  peer = await startDevice(lab, other);
  await peer.set({
    privateKey: keys.peer.privateKey,
    listenPort: 51820,
    peers: [{ publicKey: keys.ours.publicKey, allowedIps: ['10.9.0.2/32'] }],
  });
  await peer.up([`${PEER_INNER}/24`]);
});
afterEach(() => lab?.close());

const file = () => `[Interface]
Address = 10.9.0.2/24
PrivateKey = ${keys.ours.privateKey}
ListenPort = 41820

[Peer]
PublicKey = ${keys.peer.publicKey}
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.1:51820
`;

/** Sends a numbered probe through the tunnel again and again; prints the time of each answer. */
const PROBE = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.9.0.2', 0)); s.setblocking(False)
while True:
    try: s.sendto(b'probe', ('${PEER_INNER}', 7)); s.sendto(b'probe', ('198.51.100.1', 7))
    except OSError: pass
    time.sleep(${PROBE_MS / 1000})
    try:
        while True:
            s.recv(100); print(int(time.time() * 1000), flush=True)
    except OSError: pass
`;
const ECHO = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('${PEER_INNER}', 7))
while True:
    data, who = s.recvfrom(100); s.sendto(data, who)
`;

const answers = (probe: Running): number[] => probe.stdout().trim().split('\n').map(Number);
/** Waits for an answer that arrived after this time (ms since the epoch). @returns its time */
const answerAfter = (probe: Running, time: number) =>
  until('an answer through the tunnel', () => answers(probe).find(at => at > time));

async function startTraffic(): Promise<{ watching: Running; probe: Running }> {
  other.start(['python3', '-c', ECHO]);
  const watching = host.startWgts(['up', '--watch', '--backend=userspace']);
  await until('the rules', async () => (await host.picture())['rules']!.includes('51820'));
  const probe = host.namespace.start(['python3', '-c', PROBE]);
  await answerAfter(probe, 1);
  return { watching, probe };
}

describeWith([...NETWORK, 'tcpdump', 'python3', 'nft'], 'wgts up --watch under traffic', () => {
  it(
    'is back soon after each SIGKILL, leaks nothing, and leaves nothing',
    async () => {
      host.write(file());
      const empty = await host.picture();
      const { watching, probe } = await startTraffic();
      const whole = await host.picture();
      const clear = await capture(lab, host.namespace, 'eth0', 'ip and not udp port 51820');
      const pauses: number[] = [];
      const signals = ['SIGKILL', 'SIGKILL', 'SIGKILL', 'SIGSEGV', 'SIGABRT'] as const;
      for (let kill = 0; kill < KILLS; kill++) {
        // At another point of the timers each time.
        await sleep(2_200 + ((kill * 137) % 800));
        const pid = await host.devicePid();
        const killedAt = Date.now();
        process.kill(pid, signals[kill % signals.length]!);
        // Answers that were under way when the process died do not count.
        pauses.push((await answerAfter(probe, killedAt + 3 * PROBE_MS)) - killedAt);
      }
      expect(await clear.stop()).toEqual([]);
      expect(await host.picture()).toEqual(whole);
      pauses.sort((a, b) => a - b);
      const median = pauses[Math.floor(pauses.length / 2)];
      console.log(`${KILLS} kills: traffic was back after ${median} ms (median), ${pauses.at(-1)} ms (worst)`);
      await probe.stop();
      expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
      expect(await host.picture()).toEqual(empty);
    },
    HANG_MS + KILLS * 20_000,
  );
});

describeWith([...NETWORK, 'tcpdump', 'python3', 'nft', 'memory-limit'], 'wgts up --watch under traffic', () => {
  const group = join(MEMORY_GROUPS, `wgts-oom-${process.pid}`);
  afterEach(() => until('the group to be empty', () => removed(group)));

  it('is back after the kernel killed the device for lack of memory, and leaks nothing', async () => {
    host.write(file());
    const { watching, probe } = await startTraffic();
    const whole = await host.picture();
    const clear = await capture(lab, host.namespace, 'eth0', 'ip and not udp port 51820');
    mkdirSync(group);
    writeFileSync(join(group, MEMORY_LIMIT_FILE), String(GROUP_LIMIT));
    const pid = await host.devicePid();
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
    // of the group's processes, the kernel chooses this one first
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
    const asksForMore = `echo $$ > ${group}/cgroup.procs; exec python3 -c 'import time; x = b"1" * ${4 * GROUP_LIMIT}'`;
    const hog = start(['sh', '-c', asksForMore]);
    await until('the device to be killed', () => !existsSync(`/proc/${pid}`));
    await answerAfter(probe, Date.now());
    await hog.stop('SIGKILL');
    expect(await clear.stop()).toEqual([]);
    expect(await host.picture()).toEqual(whole);
    expect(await host.devicePid()).not.toBe(pid);
    await probe.stop();
    expect((await watching.stop('SIGTERM')).code, watching.output()).toBe(0);
  });
});

function removed(group: string): boolean {
  try {
    rmdirSync(group);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
