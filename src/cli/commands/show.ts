/** `wgts show`, with wg's arguments and output; `--json` is our own. */
import { formatDevice, formatField, SHOW_FIELDS } from '../../config/show.ts';
import { toJson } from '../../config/show-json.ts';
import { listInterfaces, UapiClient } from '../../daemon/uapi-client.ts';
import { systemZones } from '../../io/zones.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';

const USAGE = `Usage: wgts show [--json] { <interface> | all | interfaces } [${SHOW_FIELDS.join(' | ')}]`;

export const show: Command = async (given, terminal) => {
  const json = given.includes('--json');
  const [name = 'all', field, ...rest] = given.filter(arg => arg !== '--json');
  if (field !== undefined && rest.length === 0 && !json && !SHOW_FIELDS.includes(field))
    throw new UsageError(`Invalid parameter: \`${field}'\n${USAGE}`);
  if (rest.length > 0 || name.startsWith('-') || (field !== undefined && (json || !SHOW_FIELDS.includes(field))))
    throw new UsageError(USAGE);
  if (name === 'interfaces') {
    if (field !== undefined) throw new UsageError(USAGE);
    const names = await listInterfaces();
    terminal.out(json ? `${JSON.stringify(names)}\n` : names.length > 0 ? `${names.join(' ')}\n` : '');
    return 0;
  }
  const names = name === 'all' ? await listInterfaces() : [name];
  if (json) return showJson(names, name !== 'all', terminal);
  if (field !== undefined) return showField(names, field, name === 'all', terminal);
  return showPretty(names, terminal);
};

async function showPretty(names: readonly string[], terminal: Terminal): Promise<number> {
  const { WG_COLOR_MODE: mode, WG_HIDE_KEYS: hide } = terminal.env;
  const color = mode === 'always' || (mode !== 'never' && terminal.isTerminal);
  const texts = await Promise.all(
    names.map(async name => {
      const status = await new UapiClient(name, systemZones).get();
      return formatDevice(name, status, { now: terminal.now(), color, secrets: hide === 'never', zones: systemZones });
    }),
  );
  terminal.out(texts.join('\n'));
  return 0;
}

async function showField(names: readonly string[], field: string, all: boolean, terminal: Terminal): Promise<number> {
  for (const name of names) {
    const status = await new UapiClient(name, systemZones).get();
    terminal.out(formatField(status, field, all ? `${name}\t` : '', systemZones) ?? '');
  }
  return 0;
}

/** One device by name is an object, `all` is a list. */
async function showJson(names: readonly string[], single: boolean, terminal: Terminal): Promise<number> {
  const secrets = terminal.env['WG_HIDE_KEYS'] === 'never';
  const devices = await Promise.all(
    names.map(async name => {
      const client = new UapiClient(name, systemZones);
      const status = await client.get();
      return toJson(name, status, await client.counters(), secrets, systemZones);
    }),
  );
  terminal.out(`${JSON.stringify(single ? devices[0] : devices, null, 2)}\n`);
  return 0;
}
