/** TCP in the other direction, and several streams at once. */
import { makeIperf, type TcpOptions } from '../iperf.ts';
import { EVERYBODY, type Taken, type TunnelMeasure } from '../measure.ts';

interface Shape extends Omit<TcpOptions, 'seconds'> {
  readonly name: string;
  readonly title: string;
  readonly headline?: boolean;
}

const SHAPES: readonly Shape[] = [
  { name: 'tcp-reverse', title: 'TCP, one stream, reverse', reverse: true },
  { name: 'tcp4', title: 'TCP, 4 streams', streams: 4, headline: true },
  { name: 'tcp8', title: 'TCP, 8 streams', streams: 8 },
];

export const streams: TunnelMeasure = {
  needs: 'tunnel',
  kinds: EVERYBODY,
  figures: SHAPES.map(({ name, title, headline = false }) => ({
    ...{ name, title, headline },
    unit: 'Gbit/s',
    better: 'more',
    digits: 2,
  })),

  async take(tunnel, { seconds }, wanted) {
    const taken: Record<string, number> = {};
    for (const { name, streams, reverse } of SHAPES) {
      if (!wanted.has(name)) continue;
      const options = { seconds, ...(streams !== undefined && { streams }), ...(reverse !== undefined && { reverse }) };
      taken[name] = (await makeIperf(tunnel).tcp(options)).bitsPerSecond / 1e9;
    }
    return taken satisfies Taken;
  },
};
