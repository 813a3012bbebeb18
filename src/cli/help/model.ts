/**
 * What a command is, in one place: `--help`, the man pages, completion, and the parsing of options are all made from this. Texts are plain
 * sentences without markup; whoever prints them wraps the lines.
 */

/** What may stand in a place, for completion and for "did you mean". */
export type Completes =
  /** A WireGuard interface that exists now. */
  | 'interface'
  /** The name of a file in /etc/wireguard without `.conf`, or a path. */
  | 'config'
  /** A peer's public key; of the interface that the first argument names. */
  | 'peer'
  | 'file'
  | 'folder'
  | 'command'
  /** Nothing that could be listed. */
  | 'free'
  | readonly string[];

export interface ArgumentModel {
  /** As in the synopsis, such as INTERFACE. */
  readonly name: string;
  readonly text: string;
  readonly completes: Completes;
  /** Words that may stand there as well. */
  readonly also?: readonly string[];
}

export interface ValueModel {
  /** As in the synopsis, such as FILE. */
  readonly name: string;
  readonly completes: Completes;
  /** `completes` lists all values that there are. */
  readonly closed?: true;
}

export interface OptionModel {
  /** With its dashes, such as `--backend`; a word of `wgts set` has none. */
  readonly name: string;
  /** Such as `-f`. */
  readonly short?: string;
  /** Absent: the option takes no value. */
  readonly value?: ValueModel;
  readonly text: string;
}

export interface Example {
  readonly command: string;
  readonly text: string;
}

/** A term and its meaning: an exit status, a variable, a file. */
export type Entry = readonly [term: string, text: string];

export interface CommandModel {
  /** `up`; `wireguard-ts` for that program. */
  readonly name: string;
  /** One line for the overview, at most 60 characters, an imperative without a full stop. */
  readonly summary: string;
  /** What follows the command's name, one form each; at least one, which may be empty. */
  readonly synopsis: readonly string[];
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly arguments?: readonly ArgumentModel[];
  readonly options?: readonly OptionModel[];
  /** wg's words without dashes (`wgts set`), each with a value or without. */
  readonly words?: readonly OptionModel[];
  readonly examples: readonly Example[];
  readonly exitStatus: readonly Entry[];
  readonly environment?: readonly Entry[];
  readonly files?: readonly Entry[];
  /** Such as `wg(8)` or `wgts help up`. */
  readonly seeAlso?: readonly string[];
}
