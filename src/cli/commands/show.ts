/** `wgts show`, with wg's arguments and output; `--json` is our own. */
import type { SystemBackend } from '../../backend/system.ts';
import type { DeviceStatus } from '../../config/model.ts';
import { formatDevice, formatField, SHOW_FIELDS } from '../../config/show.ts';
import { type JsonDevice, toJson } from '../../config/show-json.ts';
import { systemZones } from '../../io/zones.ts';
import { type Command, type Terminal, UsageError, useBackend } from '../terminal.ts';

const USAGE = `Usage: wgts show [--json] { <interface> | all | interfaces } [${SHOW_FIELDS.join(' | ')}]`;

export const show: Command = (given, terminal) => {
  const json = given.includes('--json');
  const [name = 'all', field, ...rest] = given.filter(arg => arg !== '--json');
  if (field !== undefined && rest.length === 0 && !json && !SHOW_FIELDS.includes(field))
    throw new UsageError(`Invalid parameter: \`${field}'\n${USAGE}`);
  if (rest.length > 0 || name.startsWith('-') || (field !== undefined && (json || !SHOW_FIELDS.includes(field))))
    throw new UsageError(USAGE);
  if (name === 'interfaces' && field !== undefined) throw new UsageError(USAGE);
  return useBackend(terminal, async backend => {
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

interface Printer {
  device(name: string, status: DeviceStatus, last: boolean): void | Promise<void>;
  end(single: boolean): void;
}

/** As wg does, goes on past a device that cannot be read; only if none can, the status says so. */
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

/** One device by name is an object, `all` is a list. */
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
