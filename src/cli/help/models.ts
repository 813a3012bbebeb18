/**
 * Lists all commands of wgts with their help, in the order of the overview. Each model is loaded on
 * demand, because loading takes most of the run time of a short command.
 */
import type { CommandModel } from './model.ts';

const wg = () => import('./texts/wg.ts');
const quick = () => import('./texts/quick.ts');
const machine = () => import('./texts/machine.ts');

type Load = () => Promise<CommandModel>;

/** The groups of the overview. */
export const GROUPS: Readonly<Record<string, Readonly<Record<string, Load>>>> = {
  'Interfaces and peers, with the words of wg': {
    show: async () => (await wg()).show,
    showconf: async () => (await wg()).showconf,
    set: async () => (await import('./texts/set.ts')).set,
    setconf: async () => (await wg()).setconf,
    addconf: async () => (await wg()).addconf,
    syncconf: async () => (await wg()).syncconf,
  },
  'Keys, with the words of wg': {
    genkey: async () => (await wg()).genkey,
    genpsk: async () => (await wg()).genpsk,
    pubkey: async () => (await wg()).pubkey,
  },
  'Files of wg-quick': {
    up: async () => (await quick()).up,
    down: async () => (await quick()).down,
    reload: async () => (await quick()).reload,
    save: async () => (await quick()).save,
    strip: async () => (await quick()).strip,
    upgrade: async () => (await import('./texts/upgrade.ts')).upgrade,
    logs: async () => (await import('./texts/logs.ts')).logs,
  },
  'Calico clusters': {
    calico: async () => (await import('./texts/calico.ts')).calico,
    'calico install': async () => (await import('./texts/calico-install.ts')).calicoInstall,
    'calico uninstall': async () => (await import('./texts/calico-install.ts')).calicoUninstall,
    verify: async () => (await import('./texts/verify.ts')).verify,
  },
  'This machine': {
    doctor: async () => (await machine()).doctor,
    completion: async () => (await machine()).completion,
    help: async () => (await machine()).help,
  },
};

const LOADS: ReadonlyMap<string, Load> = new Map(Object.values(GROUPS).flatMap(group => Object.entries(group)));

/** All names. A name of two words, such as `calico install`, has one space. */
export const COMMAND_NAMES: readonly string[] = [...LOADS.keys()];

/** Commands that behave exactly as in wg, including the exit status of a wrong command line. */
export const WG_COMMANDS: readonly string[] = Object.entries(GROUPS)
  .filter(([title]) => title.endsWith('words of wg'))
  .flatMap(([, group]) => Object.keys(group));

/** Loads the model of a command. @returns undefined for an unknown command */
export async function commandModel(name: string): Promise<CommandModel | undefined> {
  return LOADS.get(name)?.();
}
