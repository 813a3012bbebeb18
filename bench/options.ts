/** Defines the benchmarks and options of `npm run bench`. */

export const USAGE = `Usage: npm run bench [-- [tunnel|micro|pipeline|heap|start|calico-size|scale|kernel-vm|readme] [OPTION...]]

  tunnel       compares this program with every WireGuard found here, in namespaces (the default)
  micro        times the parts: AEAD, X25519, BLAKE2s, routing, splitting and merging
  pipeline     times an engine with 1, 2, 4 and 8 threads in memory, without the kernel
  heap         measures what ten million packets allocate on the JavaScript heap, and their calls into C
  start        times short commands against node -e 0
  calico-size  measures plans, memory and CPU of the Calico agent for 1,000 to 10,000 nodes
  scale        measures 1 to 8 threads, each held to a tenth of a core
  kernel-vm    compares with the kernel module, in QEMU
  readme       writes the READMEs' table from docs/benchmarks.md, without a run

  --runs=N             runs of each measure for each contender (5)
  --seconds=N          duration of one transfer (3)
  --only=A,B           only these measures, by the names that --list prints
  --contenders=A,B     only these contenders
  --quick              two runs of one second each: shows that it works, not how fast
  --from=FILE          prints the table and the plot of a saved run, without a new one
  --publish            writes the table into docs/benchmarks.md, six of its rows into the READMEs, the plot to docs/bench.svg
  --command=COMMAND    the program that scale measures (bench/scale/main.ts says what it prints)
  --keep               appends the ratios to wireguard-go to bench/results/speed.jsonl
  --list               prints the measures and the contenders found here
`;

export interface BenchOptions {
  readonly word: string;
  readonly runs: number;
  /** Seconds of one transfer. */
  readonly seconds: number;
  /** Names; empty means all. */
  readonly only: readonly string[];
  readonly contenders: readonly string[];
  readonly quick: boolean;
  readonly publish: boolean;
  readonly keep: boolean;
  readonly list: boolean;
  readonly from: string | undefined;
  readonly command: string | undefined;
}

/** @returns the options, or a message that describes the error in them */
export function parseOptions(args: readonly string[]): BenchOptions | string {
  const words: string[] = [];
  const values = new Map<string, string>();
  for (const arg of args) {
    const match = /^--([a-z]+)(?:=(.*))?$/.exec(arg);
    if (match) values.set(match[1]!, match[2] ?? '');
    else if (arg.startsWith('-')) return `${arg} is not a known option`;
    else words.push(arg);
  }
  const take = (name: string): string | undefined => {
    const value = values.get(name);
    values.delete(name);
    return value;
  };
  const list = (name: string): string[] => (take(name) ?? '').split(',').filter(part => part !== '');
  const quick = take('quick') !== undefined;
  const runs = Number(take('runs') ?? (quick ? 2 : 5));
  const seconds = Number(take('seconds') ?? (quick ? 1 : 3));
  const options: BenchOptions = {
    word: words[0] ?? 'tunnel',
    runs,
    seconds,
    only: list('only'),
    contenders: list('contenders'),
    quick,
    publish: take('publish') !== undefined,
    keep: take('keep') !== undefined,
    list: take('list') !== undefined,
    from: take('from'),
    command: take('command'),
  };
  if (!(Number.isInteger(runs) && runs >= 1)) return '--runs takes a whole number';
  if (!(seconds > 0)) return '--seconds takes a number';
  if (words.length > 1) return `only one benchmark can run at a time, not ${words.join(' ')}`;
  const [unknown] = values.keys();
  return unknown === undefined ? options : `--${unknown} is not a known option`;
}
