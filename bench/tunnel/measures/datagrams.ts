/**
 * Measures UDP with 1300 bytes per datagram: the highest rate with less than one per cent loss, and
 * the throughput that arrives when the sender has no rate limit.
 */
import { highestRate } from '../highest-rate.ts';
import { makeIperf } from '../iperf.ts';
import { ALL_KINDS, type TunnelMeasure } from '../measure.ts';

const SIZE = 1300;
const LOSS = 0.01;
/** Bits per second. */
const FROM = 200e6;
const TO = 25.6e9;
/** A sender that reaches less than this share of the requested rate is at its own limit. */
const REACHED = 0.93;

export const datagrams: TunnelMeasure = {
  needs: 'tunnel',
  kinds: ALL_KINDS,
  figures: [
    { name: 'udp', title: 'UDP 1300 bytes, under 1 % lost', unit: 'Mbit/s', better: 'more', digits: 0, headline: true },
    { name: 'udp-flood', title: 'UDP 1300 bytes, flood, received', unit: 'Mbit/s', better: 'more', digits: 0 },
  ],

  async take(tunnel, { seconds, quick }, wanted) {
    const iperf = makeIperf(tunnel);
    const taken: Record<string, number> = {};
    if (wanted.has('udp')) {
      const bounds = { from: FROM, to: TO, halvings: quick ? 3 : 4, attempts: quick ? 1 : 2 };
      const rate = await highestRate(bounds, async offered => {
        const sent = await iperf.udp({ seconds: Math.min(seconds, 2), size: SIZE, rate: offered });
        const reached = sent.offeredBitsPerSecond >= offered * REACHED;
        return { good: sent.lost < LOSS, value: sent.bitsPerSecond, reached };
      });
      taken['udp'] = rate / 1e6;
    }
    if (wanted.has('udp-flood'))
      taken['udp-flood'] = (await iperf.udp({ seconds, size: SIZE, rate: 0 })).bitsPerSecond / 1e6;
    return taken;
  },
};
