/**
 * The model of a command. `--help`, the man pages, completion and option parsing are all generated
 * from it. Texts are plain sentences without markup; the renderer wraps them.
 */

/** Kinds of values, for completion and for "did you mean". */
export type Completes =
  /** A WireGuard interface that exists now. */
  | 'interface'
  /** The name of a file in /etc/wireguard without `.conf`, or a path. */
  | 'config'
  /** A peer's public key of the interface that the first argument names. */
  | 'peer'
  | 'file'
  | 'folder'
  | 'command'
  /** A value that cannot be listed. */
  | 'free'
  | readonly string[];

export interface ArgumentModel {
  /** As in the synopsis, such as INTERFACE. */
  readonly name: string;
  readonly text: string;
  readonly completes: Completes;
  /** Words that are also allowed there. */
  readonly also?: readonly string[];
}

interface ValueModel {
  /** As in the synopsis, such as FILE. */
  readonly name: string;
  readonly completes: Completes;
  /** `completes` lists all possible values. */
  readonly closed?: true;
}

export interface OptionModel {
  /** With its dashes, such as `--backend`. A word of `wgts set` has none. */
  readonly name: string;
  /** The short form, such as `-f`. */
  readonly short?: string;
  /** Absent: the option takes no value. */
  readonly value?: ValueModel;
  readonly text: string;
}

interface Example {
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
  /** The forms after the command's name; at least one, which may be empty. */
  readonly synopsis: readonly string[];
  /** Paragraphs of the description. */
  readonly description: readonly string[];
  readonly arguments?: readonly ArgumentModel[];
  readonly options?: readonly OptionModel[];
  /** wg's words without dashes (`wgts set`), with or without a value. */
  readonly words?: readonly OptionModel[];
  readonly examples: readonly Example[];
  readonly exitStatus: readonly Entry[];
  readonly environment?: readonly Entry[];
  readonly files?: readonly Entry[];
  /** References, such as `wg(8)` or `wgts help up`. */
  readonly seeAlso?: readonly string[];
}
