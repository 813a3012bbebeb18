/** Which process offers the hand-over of an interface. */
import { RightsSocket } from '../io/rights.ts';
import { handOverPath, uapiSocketPath } from './uapi-socket.ts';

/**
 * Returns whether a process with this user ID may be the other side of a hand-over. Both sides
 * check this: the state holds all keys, and a device of a stranger must not become ours.
 */
export function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/**
 * Returns the pid of the process that listens for a hand-over of an interface; undefined if none of
 * root or of this user does.
 */
export function pidOf(name: string): number | undefined {
  try {
    const socket = RightsSocket.connect(handOverPath(uapiSocketPath(name)));
    socket.close();
    return isTrusted(socket.peer.uid) ? socket.peer.pid : undefined;
  } catch {
    return undefined;
  }
}
