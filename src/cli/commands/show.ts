/** `wgts show`, with wg's arguments and output. The option `--json` is our own. */
import type { SystemBackend } from '../../backend/system.ts';
import { quote } from '../../config/errors.ts';
import type { DeviceStatus } from '../../config/model.ts';
import { formatDevice, formatField, SHOW_FIELDS } from '../../config/show.ts';
import { type JsonDevice, toJson } from '../../config/show-json.ts';
import { systemZones } from '../../io/zones.ts';
import { interfaceArgument, unexpected, useInterface } from '../interface-argument.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';

export const show: Command = (given, terminal) => {
  const { json, name, field } = showArguments(given);
  return useInterface(terminal, name, async backend => {
    if (name === 'interfaces') {
      const names = await backend.list();
      terminal.out(json ? `${JSON.stringify(names)}\n` : names.length > 0 ? `${names.join(' ')}\n` : '');
      return 0;
    }
    const print = json ? jsonPrinter(backend, terminal) : textPrinter(field, name === 'all', terminal);
    if (name === 'all') return showAll(backend, print, terminal);
    await print.device(name, await backend.get(name), true);
    print.end(true);
    return 0;
  });
};

/** Parses the arguments. @throws UsageError */
function showArguments(given: readonly string[]): { json: boolean; name: string; field: string | undefined } {
  const json = given.includes('--json');
  const [name = 'all', field, extra] = given.filter(arg => arg !== '--json');
  if (name.startsWith('-')) throw new UsageError(`unknown option ${quote(name)}`, { given: name, known: ['--json'] });
  if (name !== 'all' && name !== 'interfaces') interfaceArgument(name);
  if (extra !== undefined) throw unexpected(extra, field!);
  if (field === undefined) return { json, name, field };
  if (name === 'interfaces') throw unexpected(field, name);
  if (json) throw new UsageError(`--json shows all fields: leave ${quote(field)} out`);
  if (!SHOW_FIELDS.includes(field))
    throw new UsageError(`there is no field ${quote(field)}`, { given: field, known: SHOW_FIELDS });
  return { json, name, field };
}

interface Printer {
  device(name: string, status: DeviceStatus, last: boolean): void | Promise<void>;
  end(single: boolean): void;
}

/**
 * Shows all devices. Skips those that cannot be read, as wg does. The exit status is 1 only if none
 * can be read.
 */
async function showAll(backend: SystemBackend, print: Printer, terminal: Terminal): Promise<number> {
  const names = await backend.list();
  let shown = 0;
  for (const [i, name] of names.entries()) {
    let status: DeviceStatus;
    try {
      status = await backend.get(name);
    } catch (error) {
      terminal.err(`Unable to access interface ${name}: ${(error as Error).message}\n`);
      continue;
    }
    await print.device(name, status, i === names.length - 1);
    shown++;
  }
  print.end(false);
  return names.length > 0 && shown === 0 ? 1 : 0;
}

function textPrinter(field: string | undefined, all: boolean, terminal: Terminal): Printer {
  const { WG_COLOR_MODE: mode, WG_HIDE_KEYS: hide } = terminal.env;
  const color = mode === 'always' || (mode !== 'never' && terminal.isTerminal);
  return {
    device: (name, status, last) => {
      if (field !== undefined) {
        terminal.out(formatField(status, field, all ? `${name}\t` : '', systemZones) ?? '');
        return;
      }
      const options = { now: terminal.now(), color, secrets: hide === 'never', zones: systemZones };
      terminal.out(`${formatDevice(name, status, options)}${last ? '' : '\n'}`);
    },
    end: () => {},
  };
}

/** Prints an object for a named device, and a list for `all`. */
function jsonPrinter(backend: SystemBackend, terminal: Terminal): Printer {
  const secrets = terminal.env['WG_HIDE_KEYS'] === 'never';
  const devices: JsonDevice[] = [];
  return {
    device: async (name, status) => {
      const { kind } = await backend.of(name);
      devices.push(toJson(name, kind, status, await backend.counters(name), secrets, systemZones));
    },
    end: single => terminal.out(`${JSON.stringify(single ? devices[0] : devices, null, 2)}\n`),
  };
}
