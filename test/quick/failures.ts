/**
 * A full tunnel, the ways in which its steps can fail, and `up` and `down` under these failures.
 */
import { expect } from 'vitest';
import { errnoOf } from '../../src/netlink/errno.ts';
import { NetlinkError } from '../../src/netlink/errors.ts';
import { down } from '../../src/quick/quick.ts';
import type { FakeMachine, Process, ProcessOptions } from './fake-machine.ts';
import { target } from './fake-machine.ts';

export const KEY = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=';
const PEER = 'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=';
export const WANTED = target(`[Interface]
Address = 10.9.0.2/24, fd00:9::2/64
DNS = 10.9.0.1, example.org
PrivateKey = ${KEY}
PreUp = pre-up
PostUp = post-up
PreDown = pre-down
PostDown = post-down 1
PostDown = post-down 2
[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0, ::/0, 10.0.0.0/8
Endpoint = 198.51.100.1:51820
`);

/** The errors that the system reports when a step fails. */
export const FAILURES: Readonly<Record<string, (name: string) => Error>> = {
  'a program that ends badly': name => Object.assign(new Error(`${name} ended with status 1`), { code: 'EPROGRAM' }),
  'a program that is missing': name => Object.assign(new Error(`spawn ${name} ENOENT`), { code: 'ENOENT' }),
  'a program that hangs': name => Object.assign(new Error(`${name} did not end within 30 s`), { code: 'EPROGRAM' }),
  EPERM: name => new NetlinkError(name, errnoOf('EPERM')!),
  EBUSY: name => new NetlinkError(name, errnoOf('EBUSY')!),
  EROFS: name => Object.assign(new Error(`EROFS: read-only file system, ${name}`), { code: 'EROFS' }),
};
export interface Ran extends Pick<Process, 'steps' | 'warned'> {
  /** The error that the action failed with. */
  readonly error?: NodeJS.ErrnoException;
}

export async function run(
  machine: FakeMachine,
  action: (host: Process['host']) => Promise<unknown>,
  options: ProcessOptions = {},
): Promise<Ran> {
  const process = machine.process(options);
  try {
    await action(process.host);
    return process;
  } catch (error) {
    return { steps: process.steps, warned: process.warned, error: error as Error };
  } finally {
    process.close();
  }
}

/**
 * Runs `down` again without failures, after one with failures: it has nothing to do or completes
 * the rest.
 */
export async function downAgain(machine: FakeMachine): Promise<Ran> {
  const second = await run(machine, host => down(host, WANTED));
  if (second.error) expect(second.error.code).toBe('ENODEV');
  return second;
}

const linksOf = (machine: FakeMachine) => machine.picture()['links'] as string[];
export const hasLink = (machine: FakeMachine) => linksOf(machine).some(line => line.startsWith('wg0 '));
