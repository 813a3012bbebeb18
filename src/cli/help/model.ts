/**
 * The model of a command. `--help`, the man pages, completion and option parsing all use it. Its
 * texts are plain sentences without markup; the renderer wraps them.
 */

/** Kinds of values, for completion and for "did you mean". */
export type Completes =
  /** A WireGuard interface that exists now. */
  | 'interface'
  /** The name of a file in /etc/wireguard without `.conf`, or a path. */
  | 'config'
  /** The public key of a peer of the interface that the first argument names. */
  | 'peer'
  | 'file'
  | 'folder'
  | 'command'
  /** A value that cannot be listed. */
  | 'free'
  | readonly string[];

export interface ArgumentModel {
  /** The name in the synopsis, such as INTERFACE. */
  readonly name: string;
  readonly text: string;
  readonly completes: Completes;
  /** Other words that are allowed in its place. */
  readonly also?: readonly string[];
}

interface ValueModel {
  /** The name in the synopsis, such as FILE. */
  readonly name: string;
  readonly completes: Completes;
  /** True if `completes` lists all possible values. */
  readonly closed?: true;
}

export interface OptionModel {
  /** The name with its dashes, such as `--backend`. A setting of `wgts set` has no dashes. */
  readonly name: string;
  /** The short form, such as `-f`. */
  readonly short?: string;
  /** Absent if the option takes no value. */
  readonly value?: ValueModel;
  readonly text: string;
}

interface Example {
  readonly command: string;
  readonly text: string;
}

/** A term and its meaning, for example of an exit status, a variable or a file. */
export type Entry = readonly [term: string, text: string];

export interface CommandModel {
  /** The command's name, such as `up`, or `wireguard-ts` for that program. */
  readonly name: string;
  /** One line for the overview: an imperative of at most 60 characters, without a full stop. */
  readonly summary: string;
  /** The forms that may follow the command's name: at least one, which may be empty. */
  readonly synopsis: readonly string[];
  /** Paragraphs of the description. */
  readonly description: readonly string[];
  readonly arguments?: readonly ArgumentModel[];
  readonly options?: readonly OptionModel[];
  /** The settings of `wgts set`, which wg writes without dashes. Some take a value. */
  readonly words?: readonly OptionModel[];
  readonly examples: readonly Example[];
  readonly exitStatus: readonly Entry[];
  readonly environment?: readonly Entry[];
  readonly files?: readonly Entry[];
  /** Further reading, such as `wg(8)` or `wgts help up`. */
  readonly seeAlso?: readonly string[];
}
