/** `wgts help [COMMAND]` and `COMMAND --help`. */
import { quote } from '../../config/errors.ts';
import { COMMAND_NAMES, commandModel } from '../help/models.ts';
import { renderHelp, renderOverview } from '../help/render.ts';
import { tooMany } from '../parse-options.ts';
import { type Command, UsageError } from '../terminal.ts';

export const help: Command = async (args, terminal) => {
  const [name, ...rest] = joinedName(args);
  if (name === undefined) {
    terminal.out(await renderOverview());
    return 0;
  }
  if (rest.length > 0) throw tooMany(rest[0]!, name);
  const model =
    name === 'wireguard-ts' ? (await import('../help/texts/wireguard-ts.ts')).wireguardTs : await commandModel(name);
  if (!model) throw new UsageError(`there is no command ${quote(name)}`, { given: name, known: COMMAND_NAMES });
  terminal.out(renderHelp(model));
  return 0;
};

/** Joins a command's name of two words, such as `calico install`. */
function joinedName([first, second, ...rest]: readonly string[]): readonly string[] {
  if (second === undefined) return first === undefined ? [] : [first];
  const name = `${first} ${second}`;
  return COMMAND_NAMES.includes(name) ? [name, ...rest] : [first!, second, ...rest];
}
