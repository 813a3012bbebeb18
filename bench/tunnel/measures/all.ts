/** Lists every measure, in the order of the table. */
import type { Measure } from '../measure.ts';
import { datagrams } from './datagrams.ts';
import { flood } from './flood.ts';
import { handshakes } from './handshakes.ts';
import { latency } from './latency.ts';
import { manyPeers } from './many-peers.ts';
import { oneEndReceiving, oneEndSending } from './one-end.ts';
import { overlay } from './overlay.ts';
import { packets } from './packets.ts';
import { distance, loss, lossBbr } from './paths.ts';
import { stream } from './stream.ts';
import { bbr, streams } from './streams.ts';
import { transactions } from './transactions.ts';

export const MEASURES: readonly Measure[] = [
  stream,
  streams,
  bbr,
  datagrams,
  packets,
  oneEndSending,
  oneEndReceiving,
  latency,
  transactions,
  overlay,
  distance,
  loss,
  lossBbr,
  handshakes,
  flood,
  manyPeers,
];
