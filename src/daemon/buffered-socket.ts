/** A connection whose bytes arrive in a buffer of ours. Node offers that only for outgoing ones. */
import { Socket } from 'node:net';

/**
 * Takes a connection over that was accepted, but not read from (pauseOnConnect).
 * @param callback called with the number of bytes in the buffer; returns true if reading may go on
 */
export function withBuffer(accepted: Socket, buffer: Uint8Array, callback: (count: number) => boolean): Socket {
  const holder = accepted as unknown as { _handle: unknown };
  const handle = holder._handle;
  if (!handle) throw new Error('this Node has no handle in its sockets');
  // the original socket no longer owns the handle
  holder._handle = null;
  accepted.destroy();
  const options = { handle, allowHalfOpen: true, onread: { buffer, callback } };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
