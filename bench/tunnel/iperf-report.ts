/** Parses the JSON report of an iperf3 transfer. */

export interface Transfer {
  /** Received throughput. */
  readonly bitsPerSecond: number;
  readonly bytes: number;
}

export interface Datagrams {
  readonly offeredBitsPerSecond: number;
  readonly bitsPerSecond: number;
  /** Loss ratio, 0 to 1. */
  readonly lost: number;
  readonly packetsPerSecond: number;
}

interface Sum {
  readonly bits_per_second: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface Report {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: Sum;
    readonly sum_sent?: Sum;
    readonly sum?: Sum;
    readonly sender_tcp_congestion?: string;
  };
}

/**
 * Parses a TCP report.
 * @param congestion the congestion control that the sender must have used
 * @throws Error with iperf3's message, or if the sender used another congestion control
 */
export function parseTcp(text: string, congestion: string): Transfer {
  const { sum_received: received, sender_tcp_congestion: used } = parse(text).end ?? {};
  if (!received) throw new Error('iperf3 did not report what was received');
  if (used !== congestion)
    throw new Error(`the sender used ${used ?? 'an unknown congestion control'}, not ${congestion}`);
  return { bitsPerSecond: received.bits_per_second, bytes: received.bytes };
}

/** Parses a UDP report. @throws Error with iperf3's message */
export function parseUdp(text: string): Datagrams {
  const { end } = parse(text);
  const sent = end?.sum_sent ?? end?.sum;
  // Older versions have one sum for both directions, with the receiver's loss.
  const received = end?.sum_received ?? end?.sum;
  if (!sent || !received) throw new Error('iperf3 did not report what was received');
  const packets = received.packets ?? 0;
  const arrived = packets - (received.lost_packets ?? 0);
  const share = packets === 0 ? 0 : arrived / packets;
  return {
    offeredBitsPerSecond: sent.bits_per_second,
    bitsPerSecond: sent.bits_per_second * share,
    lost: 1 - share,
    packetsPerSecond: sent.seconds > 0 ? arrived / sent.seconds : 0,
  };
}

function parse(text: string): Report {
  let report: Report;
  try {
    report = JSON.parse(text) as Report;
  } catch {
    throw new Error(`iperf3 said: ${text.trim().slice(0, 200)}`);
  }
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  return report;
}
