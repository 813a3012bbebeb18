/**
 * Which process listens on an abstract name. The kernel tells it to those that connect, as it was
 * when the process began to listen.
 */
import { connect } from 'node:net';
import { type PeerCredentials, socketPeer } from '../io/rights.ts';

/** @returns undefined if no process accepts connections; pid 0 in another PID namespace */
export function nameHolder(address: string): Promise<PeerCredentials | undefined> {
  return new Promise(resolve => {
    const socket = connect(address, () => {
      resolve(socketPeer(socket));
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
  });
}
