/** Writes Prometheus' text format 0.0.4. The usual library for this takes many megabytes. */

export type MetricKind = 'gauge' | 'counter';

export class Exposition {
  readonly #metrics = new Map<string, string[]>();
  readonly #series = new Set<string>();

  /**
   * Adds a sample and groups it by name, as the format requires. Ignores a second sample with the
   * same name and labels, because Prometheus would reject the whole answer.
   */
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
