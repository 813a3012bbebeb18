/** The report of a soak, and whether it met its bars. */
import type { NonceSniffer } from './nonces.ts';
import { ACTIONS, type Phase, type Phases } from './phases.ts';
import type { Usage } from './soak-device.ts';
import type { Losses } from './traffic.ts';

export interface SoakResults {
  readonly seconds: number;
  /** Numbered datagrams a second in each direction. */
  readonly rate: number;
  readonly udp: Losses;
  readonly pings: readonly string[];
  readonly tcp: string;
  readonly droppedBySockets: number;
  readonly phases: Phases;
  readonly usage: { readonly left: readonly Usage[]; readonly right: readonly Usage[] };
  readonly sniffers: readonly NonceSniffer[];
  readonly pauses: readonly number[];
  readonly failures: readonly string[];
}

/** Memory is judged after the first ten minutes, and over at least as long. */
const WARM_UP_MS = 600_000;
const MOST_SLOPE_KIB = 1024;
const MOST_MORE_DESCRIPTORS = 2;
/** What moves may lose: the datagrams of this time. */
const MOVE_MS = 100;
const LOSSY: readonly Phase[] = ['kill', 'roam'];
const HOUR_MS = 3_600_000;

/** Prints the report. @returns the exit status: 1 if a bar was missed */
export function reportSoak(results: SoakResults): number {
  const { udp, phases, usage, sniffers, failures } = results;
  const missed = [...failures];
  const bar = (isMet: boolean, text: string): void => {
    if (!isMet) missed.push(text);
  };
  const phaseNames: Phase[] = ['quiet', ...ACTIONS];
  const by = (map: ReadonlyMap<Phase, number>): string =>
    phaseNames.map(phase => `${phase} ${Math.round(map.get(phase) ?? 0)}`).join(', ');
  console.log(`\nactions      ${ACTIONS.map(action => `${action} ${phases.count(action)}`).join(', ')}`);
  console.log(`datagrams    ${udp.sent} sent, ${udp.received} received, ${udp.doubled} doubled`);
  console.log(`lost         ${by(udp.lost)} (receivers' sockets dropped ${results.droppedBySockets})`);
  console.log(`longest gap  ${by(udp.pauses)} ms without a datagram`);
  console.log(`hand-overs   ${spread(results.pauses)}`);
  console.log(`TCP          ${results.tcp}`);
  for (const text of results.pings) console.log(`ping         ${text}`);
  const outside = [...udp.lost].reduce((sum, [phase, lost]) => (LOSSY.includes(phase) ? sum : sum + lost), 0);
  bar(outside - results.droppedBySockets <= 0, `${outside} datagrams were lost outside kills and moves`);
  // what is under way to the address that a move removes cannot arrive
  const underWay = (phases.count('roam') * results.rate * MOVE_MS) / 1000;
  bar((udp.lost.get('roam') ?? 0) <= underWay, `more datagrams were lost by moves than in ${MOVE_MS} ms each`);
  bar(udp.doubled === 0, `${udp.doubled} datagrams came twice`);
  bar(udp.received > 0, 'no datagram arrived');
  for (const one of sniffers) {
    console.log(`nonces       ${one.messages} messages of ${one.sessions} sessions, ${one.repeated.length} repeated`);
    bar(one.repeated.length === 0, `repeated nonces: ${one.repeated.slice(0, 3).join('; ')}`);
    bar(one.messages > 0, 'the capture saw no message');
  }
  memory(usage.right, bar);
  const processes = new Set(usage.left.map(({ pid }) => pid)).size;
  const most = Math.max(...usage.left.map(({ resident }) => resident));
  console.log(`left         ${processes} processes, at most ${mib(most)} resident`);
  console.log(missed.length === 0 ? '\nall bars met' : `\nMISSED:\n  ${missed.join('\n  ')}`);
  return missed.length === 0 ? 0 : 1;
}

function memory(samples: readonly Usage[], bar: (isMet: boolean, text: string) => void): void {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  console.log(`right        ${mib(first.resident)} resident at first, ${mib(last.resident)} at the end`);
  console.log(`descriptors  ${first.descriptors} at first, ${last.descriptors} at the end`);
  const grown = last.descriptors - first.descriptors;
  bar(grown <= MOST_MORE_DESCRIPTORS, `${grown} more descriptors at the end than at first`);
  const warm = samples.filter(({ at }) => at - first.at >= WARM_UP_MS);
  if (warm.length < 2 || last.at - first.at < 2 * WARM_UP_MS) {
    console.log('memory       not judged: the first ten minutes do not count, and as many more are needed');
    return;
  }
  for (const [name, of] of [
    ['resident', (usage: Usage) => usage.resident],
    ['anonymous', (usage: Usage) => usage.anonymous],
  ] as const) {
    const kib = slope(warm.map(usage => [(usage.at - first.at) / HOUR_MS, of(usage)]));
    console.log(`memory       ${name}: ${(kib / 1024).toFixed(2)} MiB an hour after the first ten minutes`);
    bar(kib < MOST_SLOPE_KIB, `${name} memory grows by ${(kib / 1024).toFixed(2)} MiB an hour`);
  }
}

/** Returns the slope of the line through points, by least squares. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const [mx, my] = [0, 1].map(i => points.reduce((sum, point) => sum + point[i]!, 0) / points.length) as [
    number,
    number,
  ];
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  const under = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  return under === 0 ? 0 : over / under;
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'none';
  const sorted = values.toSorted((a, b) => a - b);
  return `median ${sorted[sorted.length >> 1]}, longest ${sorted.at(-1)} ms without a process`;
}

const mib = (kib: number): string => `${(kib / 1024).toFixed(1)} MiB`;
