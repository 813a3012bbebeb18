/**
 * Measures five thousand peers that never answer: the time to configure and list them, their
 * memory, and the CPU time used while the program tries to reach all of them.
 */
import { writeFileSync } from 'node:fs';
import { formatKeyBase64 } from '#dist/base/key.js';
import { run, sleep } from '../command.ts';
import { Device, PORT } from '../contender-device.ts';
import { makeKeyPair } from '../keys.ts';
import { type LabMeasure, type Taken, TUNNELS } from '../measure.ts';
import { silentPeers } from '../peers.ts';
import { cpuSeconds, machineCpuSeconds, memory } from '../usage.ts';

const PEERS = 5000;
const KEEPALIVE = 25;
/** The network of the peers' endpoints: routed to the other host, which drops everything. */
const PEER_NETWORK = '198.18.0.0/15';
/**
 * Seconds until handshakes with all peers are tried: boringtun starts at the first due keepalive.
 */
const SETTLE_S = 30;
/** Seconds of measurement. A program may stop trying for a while 90 s after it began. */
const WATCH_S = 30;
/** Answers between the first one and the one that is measured as a later one. */
const WARM_DUMPS = 5;
const FILE = '/run/peers.conf';
const KEY_FILE = '/run/private-key';

export const manyPeers: LabMeasure = {
  needs: 'lab',
  kinds: TUNNELS,
  mostRuns: 3,
  figures: [
    { name: 'peers-addconf', title: '5,000 peers: wg addconf', unit: 's', better: 'less', digits: 2, headline: true },
    { name: 'peers-dump', title: '5,000 peers: wg show dump', unit: 's', better: 'less', digits: 3 },
    { name: 'peers-dump-again', title: '5,000 peers: wg show dump, later', unit: 's', better: 'less', digits: 3 },
    { name: 'peers-memory', title: '5,000 peers: memory', unit: 'MB', better: 'less', digits: 0, headline: true },
    {
      name: 'peers-cpu',
      title: '5,000 peers, all unreachable: CPU',
      unit: '% of a core',
      better: 'less',
      digits: 1,
      headline: true,
    },
    { name: 'peers-memory-tried', title: '5,000 peers, all tried: memory', unit: 'MB', better: 'less', digits: 0 },
  ],

  async take(contender, { left, right }, { quick }) {
    writeFileSync(FILE, silentPeers(PEERS, KEEPALIVE, PORT).text);
    writeFileSync(KEY_FILE, `${formatKeyBase64(makeKeyPair().privateKey)}\n`, { mode: 0o600 });
    const device = await Device.start(contender, left);
    try {
      await device.wg('set', 'private-key', KEY_FILE, 'listen-port', String(PORT));
      await left.namespace.ip(`route replace ${PEER_NETWORK} via ${right.outer}`);
      const addconf = await seconds(() => device.wg('addconf', FILE));
      const list = async (): Promise<void> => {
        const lines = (await left.namespace.run(['wg', 'show', device.name, 'dump'])).trim().split('\n');
        if (lines.length !== PEERS + 1) throw new Error(`${lines.length - 1} peers are listed, not ${PEERS}`);
      };
      const dump = await seconds(list);
      for (let i = 0; i < WARM_DUMPS; i++) await list();
      const again = await seconds(list);
      const pid = device.daemon?.pid;
      const before = pid === undefined ? undefined : memory(pid, 'VmRSS') / 1e6;
      await device.up();
      await sleep((quick ? 3 : SETTLE_S) * 1000);
      const used = (): number => (pid === undefined ? machineCpuSeconds() : cpuSeconds([pid]));
      const begun = performance.now();
      const cpu = used();
      await sleep((quick ? 6 : WATCH_S) * 1000);
      const busy = (used() - cpu) / ((performance.now() - begun) / 1000);
      const times = { 'peers-addconf': addconf, 'peers-dump': dump, 'peers-dump-again': again };
      const taken: Taken = { ...times, 'peers-cpu': busy * 100 };
      if (pid === undefined || before === undefined) return taken;
      return { ...taken, 'peers-memory': before, 'peers-memory-tried': memory(pid, 'VmRSS') / 1e6 };
    } finally {
      await device.stop();
      await run(['ip', '-n', left.namespace.name, 'route', 'del', PEER_NETWORK]);
    }
  },
};

async function seconds(action: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await action();
  return (performance.now() - begun) / 1000;
}
