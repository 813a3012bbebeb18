/**
 * Reads how this agent introduces itself. Containers with the same host folder and network differ
 * in their PID namespaces.
 */
import { readlinkSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { version } from '../../../io/installation.ts';
import { systemNetlink } from '../../../io/netlink.ts';
import { socketPeer } from '../../../io/rights.ts';
import { type SocketOwner, unixSocketOwner } from '../../../netlink/unix-diag.ts';
import type { AgentIdentity } from './messages.ts';

export function ownIdentity(keyDirectory: string): AgentIdentity {
  const { dev, ino } = statSync(keyDirectory);
  return {
    version: version(),
    pidNamespace: ownPidNamespace(),
    pid: process.pid,
    stateDirectory: `${dev}:${ino}`,
  };
}

export function ownPidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

/** Returns who owns a name in the abstract namespace; undefined if no process has it. */
export function nameOwner(name: string): Promise<SocketOwner | undefined> {
  return unixSocketOwner(systemNetlink, Buffer.from(name));
}

/** Returns the user at the other end of a UNIX socket; undefined if it has ended. */
export function peerUser(socket: Socket): number | undefined {
  return socketPeer(socket)?.uid;
}
