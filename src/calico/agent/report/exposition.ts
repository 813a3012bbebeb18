/** Prometheus' text format 0.0.4: what a library of many megabytes would be needed for otherwise. */

export type MetricKind = 'gauge' | 'counter';

export class Exposition {
  readonly #metrics = new Map<string, string[]>();
  readonly #series = new Set<string>();

  /** Samples of one name are kept together, as the format wants it. Of two with the same labels, for which it refuses all, the first counts. */
  add(
    name: string,
    kind: MetricKind,
    help: string,
    value: number,
    labels: Readonly<Record<string, string>> = {},
  ): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    const series = `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''}`;
    if (this.#series.has(series)) return;
    this.#series.add(series);
    let lines = this.#metrics.get(name);
    if (!lines) {
      lines = [`# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`, `# TYPE ${name} ${kind}`];
      this.#metrics.set(name, lines);
    }
    lines.push(`${series} ${value}`);
  }

  toString(): string {
    return [...this.#metrics.values()].map(lines => `${lines.join('\n')}\n`).join('');
  }
}

function escaped(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
