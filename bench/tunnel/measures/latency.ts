/** Measures the round-trip time of pings: on an idle tunnel, and beside a TCP stream. */
import { median, percentile } from '../../statistics.ts';
import { sleep } from '../command.ts';
import { makeIperf } from '../iperf.ts';
import { ALL_KINDS, type TunnelMeasure } from '../measure.ts';
import { ping } from '../ping.ts';

/** Seconds between two pings: so long that the code that handles a ping is no longer warm. */
const IDLE_INTERVAL_S = 0.01;
const LOADED_INTERVAL_S = 0.02;
/** Milliseconds until a stream has found its rate. */
const RAMP_MS = 300;

export const latency: TunnelMeasure = {
  needs: 'tunnel',
  kinds: ALL_KINDS,
  figures: [
    { name: 'ping', title: 'Ping, idle, median', unit: 'ms', better: 'less', digits: 3, headline: true },
    { name: 'ping-p99', title: 'Ping, idle, 99th percentile', unit: 'ms', better: 'less', digits: 3 },
    {
      name: 'ping-loaded',
      title: 'Ping beside a TCP stream, median',
      unit: 'ms',
      better: 'less',
      digits: 2,
      headline: true,
    },
    {
      name: 'ping-loaded-p99',
      title: 'Ping beside a TCP stream, 99th percentile',
      unit: 'ms',
      better: 'less',
      digits: 2,
    },
  ],

  async take(tunnel, { seconds, quick }, wanted) {
    const { left } = tunnel.lab;
    const idle = await ping(left.namespace, tunnel.right, { count: quick ? 200 : 500, interval: IDLE_INTERVAL_S });
    const taken = { ping: median(idle.times), 'ping-p99': percentile(idle.times, 99) };
    if (!wanted.has('ping-loaded') && !wanted.has('ping-loaded-p99')) return taken;
    const load = makeIperf(tunnel).tcp({ seconds: seconds + 1 });
    // Awaited below. Until then, a rejection must not count as unhandled.
    load.catch(() => {});
    await sleep(RAMP_MS);
    const count = Math.round((seconds * 1000 - RAMP_MS) / (LOADED_INTERVAL_S * 1000));
    const loaded = await ping(left.namespace, tunnel.right, { count, interval: LOADED_INTERVAL_S });
    await load;
    return { ...taken, 'ping-loaded': median(loaded.times), 'ping-loaded-p99': percentile(loaded.times, 99) };
  },
};
