// Prints the output of a demo, wrapped to the terminal's width. Each check is `ok` or `FAILED`.

const MARK = 8;
const LABEL = 14;
const GREEN = 32;
const RED = 31;
const NARROWEST = 30;

export class Screen {
  /** The texts of the checks that failed. */
  failed = [];
  #columns;
  #color;
  #write;

  constructor({ columns, color, write }) {
    this.#columns = Math.max(NARROWEST, columns || 80);
    this.#color = color;
    this.#write = write;
  }

  get columns() {
    return this.#columns;
  }

  line(text = '') {
    this.#write(`${text}\n`);
  }

  /** Prints a check: `ok  handshake  2.1 ms from initiation to response`. */
  check(good, label, text) {
    if (!good) this.failed.push(`${label}: ${text}`.replace(/^: /, ''));
    const mark = this.#colored(good ? GREEN : RED, good ? 'ok' : 'FAILED') + ' '.repeat(MARK - (good ? 2 : 6));
    const indent = 2 + MARK + (label ? LABEL : 0);
    const [first, ...rest] = lines(text, this.#columns - indent);
    this.line(`  ${mark}${label.padEnd(label ? LABEL : 0)}${first}`);
    for (const each of rest) this.line(`${' '.repeat(indent)}${each}`);
  }

  /** Wraps and indents a paragraph. */
  wrap(text, indent = 0) {
    return lines(text, this.#columns - indent)
      .map(line => `${' '.repeat(indent)}${line}`)
      .join('\n');
  }

  #colored(code, text) {
    return this.#color ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

/** Splits text into lines, at spaces only. */
function lines(text, width) {
  const found = [''];
  for (const word of text.split(' ')) {
    const last = found.at(-1);
    if (last === '') found[found.length - 1] = word;
    else if (last.length + 1 + word.length <= width) found[found.length - 1] = `${last} ${word}`;
    else found.push(word);
  }
  return found;
}
