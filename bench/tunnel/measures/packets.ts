/**
 * Measures UDP with 64 bytes per datagram, where the cost is per packet: the highest rate with less
 * than one per cent loss, and the rate that arrives when the sender has no rate limit.
 */
import { highestRate } from '../highest-rate.ts';
import { ALL_KINDS, type TunnelMeasure } from '../measure.ts';
import { sendPackets } from '../packet-stream.ts';

const SIZE = 64;
const LOSS = 0.01;
/** Packets per second. */
const FROM = 50_000;
const TO = 6_400_000;
const REACHED = 0.95;

export const packets: TunnelMeasure = {
  needs: 'tunnel',
  kinds: ALL_KINDS,
  figures: [
    {
      name: 'pps',
      title: 'UDP 64 bytes, under 1 % lost',
      unit: 'packets/s',
      better: 'more',
      digits: 0,
      headline: true,
    },
    { name: 'pps-flood', title: 'UDP 64 bytes, flood, received', unit: 'packets/s', better: 'more', digits: 0 },
  ],

  async take(tunnel, { seconds, quick }, wanted) {
    const taken: Record<string, number> = {};
    if (wanted.has('pps')) {
      const bounds = { from: FROM, to: TO, halvings: quick ? 3 : 4, attempts: quick ? 1 : 2 };
      taken['pps'] = await highestRate(bounds, async offered => {
        const { sent, received, lost } = await sendPackets(tunnel, SIZE, offered, Math.min(seconds, 2));
        return { good: lost < LOSS, value: received, reached: sent >= offered * REACHED };
      });
    }
    if (wanted.has('pps-flood')) taken['pps-flood'] = (await sendPackets(tunnel, SIZE, 0, seconds)).received;
    return taken;
  },
};
