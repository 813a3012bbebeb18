/** The options of `npm run soak`. */

export const USAGE = `Usage: npm run soak -- [--hours=N | --minutes=N] [OPTION...]

Runs two devices in namespaces of their own for that long, under mixed traffic, while one of them is
handed over, killed and adopted, and moved to other addresses at random. Prints a report, and exits
with 1 if a bar is missed.

  --hours=N, --minutes=N   duration (60 minutes)
  --seed=N                 seed of the random actions (printed; default: a new one)
  --rate=N                 numbered UDP datagrams a second in each direction (200)
  --every=N                seconds between two actions, on average (10)
`;

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly rate: number;
  readonly every: number;
}

const NUMBERS = { hours: 3600, minutes: 60, seed: 1, rate: 1, every: 1 } as const;

/** @returns the options, or a message that names the wrong one */
export function parseOptions(args: readonly string[]): SoakOptions | string {
  const values = new Map<string, number>();
  for (const arg of args) {
    const [, name, text] = /^--([a-z]+)=(\d+(?:\.\d+)?)$/.exec(arg) ?? [];
    if (name === undefined || !Object.hasOwn(NUMBERS, name)) return `${arg} is not a known option with a number`;
    values.set(name, Number(text) * NUMBERS[name as keyof typeof NUMBERS]);
  }
  const seconds = values.get('hours') ?? values.get('minutes') ?? 3600;
  const [rate, every] = [values.get('rate') ?? 200, values.get('every') ?? 10];
  if (seconds < 30) return 'a soak takes at least half a minute: --minutes=0.5';
  if (!(rate >= 1 && every >= 1)) return '--rate and --every take numbers from 1';
  return { seconds, seed: values.get('seed') ?? Math.floor(Math.random() * 2 ** 32), rate, every };
}
