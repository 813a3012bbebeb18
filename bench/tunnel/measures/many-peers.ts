/** Five thousand peers, none of whom answers: how long it takes to set and to show them, what they cost in memory and, all being tried, in time. */
import { writeFileSync } from 'node:fs';
import { run, sleep } from '../command.ts';
import { Device, PORT } from '../device.ts';
import { asText, makeKeyPair } from '../keys.ts';
import { type LabMeasure, type Taken, TUNNELS } from '../measure.ts';
import { silentPeers } from '../peers.ts';
import { cpuSeconds, machineCpuSeconds, memory } from '../usage.ts';

const PEERS = 5000;
const KEEPALIVE = 25;
/** Where they are said to be: behind the other host, which drops it all. */
const NOWHERE = '198.18.0.0/15';
/** Seconds until everybody is being tried, again and again: boringtun begins when the first keepalive is due. */
const SETTLE = 30;
/** Seconds that are watched then: from 90 on a program may give up for a while. */
const WATCH = 30;
const FILE = '/run/peers.conf';
const KEY_FILE = '/run/private-key';

export const manyPeers: LabMeasure = {
  needs: 'lab',
  kinds: TUNNELS,
  mostRuns: 3,
  figures: [
    { name: 'peers-addconf', title: '5,000 peers: wg addconf', unit: 's', better: 'less', digits: 2, headline: true },
    { name: 'peers-dump', title: '5,000 peers: wg show dump', unit: 's', better: 'less', digits: 3 },
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
    writeFileSync(KEY_FILE, `${asText(makeKeyPair().privateKey)}\n`, { mode: 0o600 });
    const device = await Device.start(contender, left);
    try {
      await device.wg('set', 'private-key', KEY_FILE, 'listen-port', String(PORT));
      await left.place.ip(`route replace ${NOWHERE} via ${right.outer}`);
      const addconf = await seconds(() => device.wg('addconf', FILE));
      const dump = await seconds(async () => {
        const lines = (await left.place.run(['wg', 'show', device.name, 'dump'])).trim().split('\n');
        if (lines.length !== PEERS + 1) throw new Error(`${lines.length - 1} peers are shown, not ${PEERS}`);
      });
      const pid = device.daemon?.pid;
      const before = pid === undefined ? undefined : memory(pid, 'VmRSS') / 1e6;
      await device.up();
      await sleep((quick ? 3 : SETTLE) * 1000);
      const used = (): number => (pid === undefined ? machineCpuSeconds() : cpuSeconds([pid]));
      const begun = performance.now();
      const cpu = used();
      await sleep((quick ? 6 : WATCH) * 1000);
      const busy = (used() - cpu) / ((performance.now() - begun) / 1000);
      const taken: Taken = { 'peers-addconf': addconf, 'peers-dump': dump, 'peers-cpu': busy * 100 };
      if (pid === undefined || before === undefined) return taken;
      return { ...taken, 'peers-memory': before, 'peers-memory-tried': memory(pid, 'VmRSS') / 1e6 };
    } finally {
      await device.stop();
      await run(['ip', '-n', left.place.name, 'route', 'del', NOWHERE]);
    }
  },
};

async function seconds(action: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await action();
  return (performance.now() - begun) / 1000;
}
