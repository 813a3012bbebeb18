/** What pods counted of numbered traffic, and what of it was lost. */

export interface TrafficReport {
  /** Number of datagrams, by receiver. */
  readonly sent: Readonly<Record<string, number>>;
  /** What arrived, by sender. */
  readonly received: Readonly<
    Record<string, { readonly count: number; readonly doubled: number; readonly longest: number }>
  >;
  readonly overflows: number;
}

export interface Losses {
  readonly sent: number;
  readonly lost: number;
  readonly doubled: number;
  /** The longest pause between two datagrams of a pair, in milliseconds. */
  readonly longestPause: number;
  /** Losses of the receivers' own sockets, which are part of `lost`. */
  readonly overflows: number;
  /** Lost datagrams of each pair that lost any, for a failed test. */
  readonly pairs: readonly string[];
}

/** Compares what was sent with what arrived. @param reports of all pods, by address */
export function countLosses(reports: ReadonlyMap<string, TrafficReport>): Losses {
  const pairs: string[] = [];
  let [sent, lost, doubled, longestPause, overflows] = [0, 0, 0, 0, 0];
  for (const [from, report] of reports) {
    overflows += report.overflows;
    for (const [to, count] of Object.entries(report.sent)) {
      const got = reports.get(to)?.received[from];
      sent += count;
      lost += count - (got?.count ?? 0);
      doubled += got?.doubled ?? 0;
      longestPause = Math.max(longestPause, got?.longest ?? 0);
      if (count !== got?.count) pairs.push(`${from} to ${to}: ${count - (got?.count ?? 0)} of ${count}`);
    }
  }
  return { sent, lost, doubled, longestPause: Math.round(longestPause), overflows, pairs };
}
