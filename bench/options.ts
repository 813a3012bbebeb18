/** The words and options of `npm run bench`. */

export const USAGE = `Usage: npm run bench [-- [tunnel|micro|heap|start|kernel-vm|readme] [OPTION...]]

  tunnel       this program and every other WireGuard that is found here, side by side in namespaces (the default)
  micro        the parts: AEAD, X25519, BLAKE2s, routing, splitting and merging
  heap         what ten million packets cost the JavaScript heap, and how often they cross into C
  start        how long short commands take, beside node -e 0
  kernel-vm    in QEMU, beside the kernel module
  readme       no run: the READMEs' table again, out of docs/benchmarks.md

  --runs=N             how often each measure is taken of each contender (5)
  --seconds=N          how long one transfer takes (3)
  --only=A,B           these measures alone, by the names that --list says
  --contenders=A,B     these contenders alone
  --quick              two runs of a second each: to see whether it works, not how fast
  --from=FILE          no run: the table and the plot of a run that was saved
  --publish            writes the table into docs/benchmarks.md, its first rows into the READMEs, the plot to docs/bench.svg
  --list               the measures and the contenders that are found here
`;

export interface BenchOptions {
  readonly word: string;
  readonly runs: number;
  /** Of one transfer. */
  readonly seconds: number;
  /** Names; empty: all. */
  readonly only: readonly string[];
  readonly contenders: readonly string[];
  readonly quick: boolean;
  readonly publish: boolean;
  readonly list: boolean;
  readonly from: string | undefined;
}

/** @returns the options, or what is wrong with them */
export function parseOptions(args: readonly string[]): BenchOptions | string {
  const words: string[] = [];
  const values = new Map<string, string>();
  for (const arg of args) {
    const match = /^--([a-z]+)(?:=(.*))?$/.exec(arg);
    if (match) values.set(match[1]!, match[2] ?? '');
    else if (arg.startsWith('-')) return `${arg} is not understood`;
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
    list: take('list') !== undefined,
    from: take('from'),
  };
  if (!(Number.isInteger(runs) && runs >= 1)) return '--runs wants a whole number';
  if (!(seconds > 0)) return '--seconds wants a number';
  if (words.length > 1) return `one word is enough, not ${words.join(' ')}`;
  const [unknown] = values.keys();
  return unknown === undefined ? options : `--${unknown} is not understood`;
}
