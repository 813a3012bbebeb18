/**
 * Stands between the two processes of a hand-over: passes on message after message, with their
 * descriptors, and stops before one of them. So a test decides at which step a process dies.
 */
import { closeSync, renameSync, rmSync } from 'node:fs';
import { HandOverChannel, type HandOverKind, type HandOverMessage } from '../../src/daemon/hand-over-channel.ts';
import { RightsListener, RightsSocket } from '../../src/io/rights.ts';

export class HandOverRelay {
  /** Settles when the message came before which the relay stops. */
  readonly stopped: Promise<void>;
  readonly #path: string;
  readonly #before: HandOverKind;
  readonly #listener: RightsListener;
  readonly #channels: HandOverChannel[] = [];
  #stop: () => void = () => {};
  #isStopped = false;

  /**
   * Takes the place of the giver's socket.
   * @param path the hand-over socket of the device
   * @param before the message that is not passed on
   */
  constructor(path: string, before: HandOverKind) {
    this.#path = path;
    this.#before = before;
    this.stopped = new Promise(resolve => {
      this.#stop = resolve;
    });
    renameSync(path, `${path}.real`);
    this.#listener = new RightsListener(path);
    this.#listener.onConnection(
      socket => this.#join(socket),
      error => {
        throw error;
      },
    );
  }

  /** Puts the giver's socket back, and ends the connections. */
  close(): void {
    this.#listener.close();
    for (const channel of this.#channels) channel.close();
    rmSync(this.#path, { force: true });
    try {
      renameSync(`${this.#path}.real`, this.#path);
    } catch {
      // the giver has removed it
    }
  }

  #join(socket: RightsSocket): void {
    let giver: RightsSocket;
    try {
      giver = RightsSocket.connect(`${this.#path}.real`);
    } catch {
      // the giver is dead
      socket.close();
      return;
    }
    const ends: HandOverChannel[] = [];
    const pass = (to: number) => (message: HandOverMessage) => this.#pass(ends[to]!, message);
    // the end of one side is the end of the other
    const onEnd = () => {
      for (const each of ends) each.close();
    };
    ends[0] = new HandOverChannel(giver, { onMessage: pass(1), onBroken: onEnd, onEnd });
    ends[1] = new HandOverChannel(socket, { onMessage: pass(0), onBroken: onEnd, onEnd });
    this.#channels.push(...ends);
  }

  #pass(to: HandOverChannel, { kind, body, descriptors }: HandOverMessage): void {
    if (kind === this.#before) {
      this.#isStopped = true;
      this.#stop();
    }
    try {
      if (!this.#isStopped) to.send(kind, body, descriptors);
    } catch {
      // that side is dead, which its own channel reports
    }
    body.fill(0);
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}
