/**
 * Splits the JSON of a list (`{"kind": "NodeList", "items": [{...}, ...], ...}`) into its items
 * while it arrives. A list of 10,000 Nodes has 250 MB: neither its text nor its objects exist as a
 * whole at any time.
 */

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];
/** How deep the items' own list is nested. */
const DEPTH_OF_ITEMS = 2;
const ITEMS = /"items"\s*:\s*$/;
/** More bytes than `"items":` has, with white space. */
const KEY_BYTES = 40;

export class ListSplitter {
  readonly #onItem: (json: string) => void;
  /** The text around the items, and the current item, as far as they have arrived. */
  readonly #envelope: PartialText;
  readonly #item: PartialText;
  #depth = 0;
  #isInItems = false;
  #isInString = false;
  #isEscaped = false;

  /**
   * @param onItem receives the text of each item, which need not be valid JSON
   * @param longest limit for an item, and for all text around the items, in bytes
   */
  constructor(onItem: (json: string) => void, longest: number) {
    this.#onItem = onItem;
    this.#envelope = new PartialText(longest);
    this.#item = new PartialText(longest);
  }

  /** @throws RangeError for an item, or text around the items, beyond the limit */
  push(chunk: Buffer): void {
    /** Where the text that has not been kept begins. */
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (this.#isInString) {
        at = this.#skipString(chunk, at);
        continue;
      }
      const byte = chunk[at]!;
      if (byte === QUOTE) this.#isInString = true;
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (++this.#depth !== DEPTH_OF_ITEMS || byte === OPEN_OBJECT) continue;
        this.#envelope.add(chunk.subarray(from, at));
        from = at;
        this.#isInItems = ITEMS.test(this.#envelope.last(KEY_BYTES));
        if (this.#isInItems) this.#envelope.add(chunk.subarray(at, ++from));
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        if (this.#depth-- !== DEPTH_OF_ITEMS || !this.#isInItems) continue;
        this.#endItem(chunk.subarray(from, at));
        from = at;
        this.#isInItems = false;
      } else if (byte === COMMA && this.#isInItems && this.#depth === DEPTH_OF_ITEMS) {
        this.#endItem(chunk.subarray(from, at));
        from = at + 1;
      }
    }
    (this.#isInItems ? this.#item : this.#envelope).add(chunk.subarray(from));
  }

  /** Returns the text around the items: the JSON of the list with no items, if it is complete. */
  end(): string {
    return this.#envelope.take();
  }

  /** Returns the index of the string's last byte in this chunk. */
  #skipString(chunk: Buffer, start: number): number {
    let at = start;
    for (; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) {
        this.#isInString = false;
        break;
      }
    }
    return at;
  }

  #endItem(rest: Buffer): void {
    this.#item.add(rest);
    const text = this.#item.take();
    if (text.trim() !== '') this.#onItem(text);
  }
}

/** Text that arrives in parts. It is joined once, because appending takes quadratic time. */
class PartialText {
  readonly #longest: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(longest: number) {
    this.#longest = longest;
  }

  add(part: Buffer): void {
    if (part.length === 0) return;
    this.#length += part.length;
    if (this.#length > this.#longest) throw new RangeError(`a part of the list has more than ${this.#longest} bytes`);
    this.#parts.push(part);
  }

  /** Returns the last bytes as Latin-1. */
  last(bytes: number): string {
    return Buffer.concat(this.#parts).subarray(-bytes).toString('latin1');
  }

  take(): string {
    const [only] = this.#parts;
    const text = (this.#parts.length === 1 ? only! : Buffer.concat(this.#parts)).toString('utf8');
    this.#parts = [];
    this.#length = 0;
    return text;
  }
}
