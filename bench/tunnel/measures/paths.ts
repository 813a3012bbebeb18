/** One TCP stream where the path is not as good as a cable: far away, or losing packets. */
import { makeIperf } from '../iperf.ts';
import { EVERYBODY, type LabMeasure, type Taken, TUNNELS, type TunnelMeasure } from '../measure.ts';
import { delayed, lossy, whyNoLoss } from '../path.ts';
import { Tunnel } from '../tunnel.ts';

/** Milliseconds in each direction. */
const DELAY = 5;
const LOSS = 0.01;
/** Seconds until a window has grown. */
const OMIT = 1;

export const distance: LabMeasure = {
  needs: 'lab',
  kinds: EVERYBODY,
  figures: [
    {
      name: 'tcp-10ms',
      title: 'TCP, one stream, 10 ms away',
      unit: 'Gbit/s',
      better: 'more',
      digits: 2,
      headline: true,
    },
  ],
  take: (contender, lab, { seconds }) =>
    delayed(lab, DELAY, async slow => {
      const tunnel = await Tunnel.open(contender, slow);
      try {
        return await transfer(tunnel, 'tcp-10ms', seconds);
      } finally {
        await tunnel.close();
      }
    }),
};

export const loss: TunnelMeasure = {
  needs: 'tunnel',
  kinds: TUNNELS,
  figures: [
    { name: 'tcp-loss', title: 'TCP, one stream, 1 % lost', unit: 'Gbit/s', better: 'more', digits: 3, headline: true },
  ],
  unavailable: whyNoLoss,
  take: (tunnel, { seconds }) => lossy(tunnel.lab, LOSS, () => transfer(tunnel, 'tcp-loss', seconds)),
};

async function transfer(tunnel: Tunnel, name: string, seconds: number): Promise<Taken> {
  return { [name]: (await makeIperf(tunnel).tcp({ seconds, omit: OMIT })).bitsPerSecond / 1e9 };
}
