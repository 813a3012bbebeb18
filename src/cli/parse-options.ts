/**
 * Parses options and arguments of a command according to its model. Node's parseArgs splits the
 * words. The error messages are ours, because Node's messages name neither the nearest option nor
 * the value.
 */
import { parseArgs } from 'node:util';
import { quote } from '../config/errors.ts';
import type { ArgumentModel, CommandModel, OptionModel } from './help/model.ts';
import { UsageError } from './usage-error.ts';

export interface ParsedOptions {
  /** Options by name without dashes; `true` for an option without a value. */
  readonly values: Readonly<Record<string, string | true | undefined>>;
  readonly positionals: readonly string[];
}

export interface ParseRules {
  /** The minimum number of arguments. Default: 0. */
  readonly least?: number;
  /** The maximum number of arguments. Default: the minimum. */
  readonly most?: number;
  /** Whether the last value of a repeated option counts. By default, a repetition is an error. */
  readonly lastCounts?: boolean;
}

/** Parses a command's words. @throws UsageError that names the wrong word */
export function parseOptions(model: CommandModel, args: readonly string[], rules: ParseRules = {}): ParsedOptions {
  const options = new Map((model.options ?? []).map(option => [option.name.slice(2), option]));
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries([...options].map(([name, option]) => [name, configOf(option)])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, string | true> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = options.get(token.name);
    if (!option) throw unknownOption(token.rawName, [...options.values()]);
    const value = checkValue(option, token.value, token.inlineValue === true);
    const before = values[token.name];
    if (typeof value === 'string' && before !== undefined && !rules.lastCounts)
      throw new UsageError(
        `option ${option.name} is given twice, as ${quote(String(before))} and as ${quote(value)}; give it once`,
      );
    values[token.name] = value;
  }
  checkCount(model, positionals, rules);
  return { values, positionals };
}

/**
 * Validates a choice from an option or a variable. @throws UsageError that names its source and
 * value
 */
export function checkChoice<T extends string>(from: string, value: string, known: readonly T[]): T {
  const found = known.find(each => each === value);
  if (found !== undefined) return found;
  throw new UsageError(`${from} cannot be ${quote(value)}`, { given: value, known });
}

function unknownOption(given: string, known: readonly OptionModel[]): UsageError {
  const names = known.flatMap(({ name, short }) => (short === undefined ? [name] : [name, short]));
  return new UsageError(`unknown option ${quote(given)}`, { given, known: [...names, '--help', '--version'] });
}

function configOf({ value, short }: OptionModel): { type: 'string' | 'boolean'; short?: string } {
  return { type: value ? 'string' : 'boolean', ...(short !== undefined && { short: short.slice(1) }) };
}

function checkValue({ name, value: model }: OptionModel, given: string | undefined, isInline: boolean): string | true {
  if (!model) {
    if (given !== undefined) throw new UsageError(`option ${name} takes no value, but has ${quote(given)}`);
    return true;
  }
  // In `--backend --watch`, the value of --backend is missing.
  if (given === undefined || (!isInline && given.startsWith('-') && given !== '-'))
    throw new UsageError(`option ${name} needs a value: ${name} ${model.name}`);
  if (given === '') throw new UsageError(`option ${name} has an empty value: give it a ${model.name}, or leave it out`);
  return model.closed ? checkChoice(`option ${name}`, given, model.completes as readonly string[]) : given;
}

function checkCount(model: CommandModel, given: readonly string[], { least = 0, most = least }: ParseRules): void {
  const names = model.arguments?.map(({ name }) => name) ?? [];
  if (given.length < least) throw missing(model.arguments![given.length]!);
  if (given.length > most) throw tooMany(given[most]!, given[most - 1]);
  const empty = given.indexOf('');
  if (empty >= 0) throw new UsageError(`the argument ${names[empty] ?? empty + 1} is empty`);
}

function missing({ name, text }: ArgumentModel): UsageError {
  return new UsageError(`the argument ${name} is missing`, { note: `${name}: ${text}` });
}

/** Returns the error for an argument too many. @param last the argument before it, if any */
export function tooMany(extra: string, last?: string): UsageError {
  const where = last === undefined ? 'this command takes no arguments' : `nothing may follow ${quote(last)}`;
  return new UsageError(`unexpected argument ${quote(extra)}: ${where}`);
}
