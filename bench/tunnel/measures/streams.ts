/**
 * Measures TCP in the other direction and several streams at once, each also with BBR, which sends
 * by timers instead of by acknowledgements.
 */
import { makeIperf, type TcpOptions, whyUnavailable } from '../iperf.ts';
import { ALL_KINDS, type Taken, type TunnelMeasure } from '../measure.ts';

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

const BBR_SHAPES: readonly Shape[] = [{ name: 'tcp1', title: 'TCP, one stream' }, ...SHAPES].map(shape => ({
  ...shape,
  ...{ name: `${shape.name}-bbr`, title: `${shape.title}, BBR`, headline: false, congestion: 'bbr' },
}));

export const streams: TunnelMeasure = transfers(SHAPES);

export const bbr: TunnelMeasure = {
  ...transfers(BBR_SHAPES),
  unavailable: () => Promise.resolve(whyUnavailable('bbr')),
};

function transfers(shapes: readonly Shape[]): TunnelMeasure {
  return {
    needs: 'tunnel',
    kinds: ALL_KINDS,
    figures: shapes.map(({ name, title, headline = false }) => ({
      ...{ name, title, headline },
      unit: 'Gbit/s',
      better: 'more',
      digits: 2,
    })),

    async take(tunnel, { seconds }, wanted) {
      const taken: Record<string, number> = {};
      for (const shape of shapes)
        if (wanted.has(shape.name))
          taken[shape.name] = (await makeIperf(tunnel).tcp({ ...shape, seconds })).bitsPerSecond / 1e9;
      return taken satisfies Taken;
    },
  };
}
