/**
 * A process that gives an empty device, for tests that kill it: `node giver-process.mjs PATH MODE`.
 * With the mode `stops` it reads nothing after it has sent the state.
 */
import { HandOverChannel } from '#dist/daemon/hand-over-channel.js';
import { makeOffer } from '#dist/daemon/hand-over-greeting.js';
import { RightsListener, RunToken } from '#dist/io/rights.js';

const [path, mode] = process.argv.slice(2);
const token = new RunToken();

new RightsListener(path).onConnection(
  socket => {
    const channel = new HandOverChannel(socket, {
      onMessage: ({ kind }) => {
        if (kind === 'hello') channel.sendText('offer', makeOffer('old'));
        if (kind !== 'ready') return;
        channel.send('state', new Uint8Array(100), [token.descriptor]);
        if (mode === 'stops') process.kill(process.pid, 'SIGSTOP');
      },
      onEnd: () => {},
    });
  },
  error => {
    throw error;
  },
);
process.stdout.write('listening\n');
