/**
 * Measures an open tunnel during a flood of handshake initiations: they have a valid mac1 and
 * forged sources, and arrive faster than any responder can process them.
 */
import { fileURLToPath } from 'node:url';
import { median } from '../../statistics.ts';
import { run, sleep } from '../command.ts';
import { PORT } from '../contender-device.ts';
import { FLOOD_SOURCES } from '../flood-sources.ts';
import { TUNNELS, type TunnelMeasure } from '../measure.ts';
import { ping } from '../ping.ts';

const RATE = 100_000;
/** Milliseconds until the flood has begun and the responder answers it with cookies. */
const RAMP_MS = 500;
const INTERVAL_S = 0.02;
const FLOODER = fileURLToPath(new URL('../flooder.js', import.meta.url));

export const flood: TunnelMeasure = {
  needs: 'tunnel',
  kinds: TUNNELS,
  figures: [
    { name: 'flood-lost', title: '100,000 initiations/s: pings lost', unit: '%', better: 'less', digits: 1 },
    { name: 'flood-ping', title: '100,000 initiations/s: ping, median', unit: 'ms', better: 'less', digits: 2 },
  ],

  async take(tunnel, { seconds }) {
    const { left, right } = tunnel.lab;
    const device = tunnel.devices[1]!;
    const key = Buffer.from(await device.wg('show', 'public-key'), 'base64').toString('hex');
    const ip = (host: typeof left, ...words: string[]) => run(['ip', '-n', host.namespace.name, 'route', ...words]);
    await ip(left, 'replace', 'local', FLOOD_SOURCES, 'dev', 'lo');
    await ip(right, 'replace', FLOOD_SOURCES, 'via', left.outer);
    try {
      const argv = [process.execPath, FLOODER, `${right.outer}:${PORT}`, key, String(RATE), String(seconds + 1)];
      const flooding = left.namespace.run(argv);
      // Awaited below. Until then, a rejection must not count as unhandled.
      flooding.catch(() => {});
      await sleep(RAMP_MS);
      const count = Math.round((seconds * 1000 - RAMP_MS) / (INTERVAL_S * 1000));
      const { sent, times } = await ping(left.namespace, tunnel.right, { count, interval: INTERVAL_S });
      await flooding;
      return { 'flood-lost': (1 - times.length / sent) * 100, 'flood-ping': median(times) };
    } finally {
      await ip(left, 'del', 'local', FLOOD_SOURCES, 'dev', 'lo');
      await ip(right, 'del', FLOOD_SOURCES);
    }
  },
};
