/**
 * Which process listens on an abstract name. The kernel tells it to those that connect, as it was
 * when the process began to listen.
 */
import { connect } from 'node:net';
import { type PeerCredentials, peerCredentials } from '../io/rights.ts';

/** @returns undefined if no process accepts connections; pid 0 in another PID namespace */
export function nameHolder(address: string): Promise<PeerCredentials | undefined> {
  return new Promise(resolve => {
    const socket = connect(address, () => {
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      try {
        resolve(peerCredentials(fd));
      } catch {
        resolve(undefined);
      }
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
  });
}
