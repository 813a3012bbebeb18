/**
 * Measures one TCP stream and its cost: CPU time per gigabit, and memory, during the transfer and
 * after it.
 */
import { sleep } from '../command.ts';
import { makeIperf } from '../iperf.ts';
import { ALL_KINDS, type TunnelMeasure } from '../measure.ts';
import { cpuSeconds, machineCpuSeconds, memory } from '../usage.ts';

/** Seconds without traffic, in which a program may return memory. */
const IDLE_S = 10;

export const stream: TunnelMeasure = {
  needs: 'tunnel',
  kinds: ALL_KINDS,
  figures: [
    { name: 'tcp1', title: 'TCP, one stream', unit: 'Gbit/s', better: 'more', digits: 2, headline: true },
    { name: 'cpu', title: 'CPU for a gigabit, both ends', unit: 's', better: 'less', digits: 3, headline: true },
    { name: 'memory', title: 'Peak memory of a daemon', unit: 'MB', better: 'less', digits: 0, headline: true },
    { name: 'memory-idle', title: 'Memory of a daemon, idle after TCP', unit: 'MB', better: 'less', digits: 0 },
  ],

  async take(tunnel, { seconds }, wanted) {
    const { kind } = tunnel.contender;
    const used = (): number => (kind === 'kernel' ? machineCpuSeconds() : cpuSeconds(tunnel.pids));
    const before = used();
    const { bitsPerSecond, bytes } = await makeIperf(tunnel).tcp({ seconds });
    const cpu = (used() - before) / ((bytes * 8) / 1e9);
    const peaks = tunnel.pids.map(pid => memory(pid, 'VmHWM'));
    const isIdleWanted = wanted.has('memory-idle') && peaks.length > 0;
    if (isIdleWanted) await sleep(IDLE_S * 1000);
    const idle = isIdleWanted ? tunnel.pids.map(pid => memory(pid, 'VmRSS')) : [];
    return {
      tcp1: bitsPerSecond / 1e9,
      ...(kind !== 'bare' && { cpu }),
      ...(peaks.length > 0 && { memory: Math.max(...peaks) / 1e6 }),
      ...(idle.length > 0 && { 'memory-idle': Math.max(...idle) / 1e6 }),
    };
  },
};
