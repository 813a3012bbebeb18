/** Measures one TCP stream over a path with a delay or with loss. */
import { type Congestion, makeIperf, USUAL_CONGESTION, whyUnavailable } from '../iperf.ts';
import { ALL_KINDS, type LabMeasure, type Taken, TUNNELS, type TunnelMeasure } from '../measure.ts';
import { delayed, lossy, whyNoLoss } from '../path.ts';
import { Tunnel } from '../tunnel.ts';

/** Milliseconds in each direction. */
const DELAY_MS = 5;
const LOSS = 0.01;
/** Seconds until TCP's window has grown. */
const OMIT_S = 1;

export const distance: LabMeasure = {
  needs: 'lab',
  kinds: ALL_KINDS,
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
    delayed(lab, DELAY_MS, async slow => {
      const tunnel = await Tunnel.open(contender, slow);
      try {
        return await transfer(tunnel, 'tcp-10ms', seconds);
      } finally {
        await tunnel.close();
      }
    }),
};

export const loss: TunnelMeasure = lossBy(USUAL_CONGESTION);

/**
 * BBR does not treat a lost packet as congestion. So with BBR the tunnel is the limit; with CUBIC,
 * the round-trip time is.
 */
export const lossBbr: TunnelMeasure = {
  ...lossBy('bbr'),
  unavailable: async lab => whyUnavailable('bbr') ?? (await whyNoLoss(lab)),
};

function lossBy(congestion: Congestion): TunnelMeasure {
  const usual = congestion === USUAL_CONGESTION;
  const name = usual ? 'tcp-loss' : `tcp-loss-${congestion}`;
  const title = `TCP, one stream, 1 % lost${usual ? '' : `, ${congestion.toUpperCase()}`}`;
  return {
    needs: 'tunnel',
    kinds: TUNNELS,
    figures: [{ name, title, unit: 'Gbit/s', better: 'more', digits: 3, headline: usual }],
    unavailable: whyNoLoss,
    take: (tunnel, { seconds }) => lossy(tunnel.lab, LOSS, () => transfer(tunnel, name, seconds, congestion)),
  };
}

async function transfer(tunnel: Tunnel, name: string, seconds: number, congestion = USUAL_CONGESTION): Promise<Taken> {
  return { [name]: (await makeIperf(tunnel).tcp({ seconds, omit: OMIT_S, congestion })).bitsPerSecond / 1e9 };
}
