/** Interface names and indices from sysfs, for the zones of link-local endpoints. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Zones } from '../config/zones.ts';

const NET = '/sys/class/net';

export const systemZones: Zones = {
  indexOf: name => (/^[^/\0]{1,15}$/.test(name) && name !== '.' && name !== '..' ? readIndex(name) : undefined),
  nameOf: index => listInterfaces().find(name => readIndex(name) === index),
};

function listInterfaces(): string[] {
  try {
    return readdirSync(NET);
  } catch {
    return [];
  }
}

function readIndex(name: string): number | undefined {
  try {
    return Number(readFileSync(`${NET}/${name}/ifindex`, 'utf8'));
  } catch {
    return undefined;
  }
}
