/**
 * Runs the code between the last packet of the old process and the first one of the new process
 * once before it counts. Code that runs for the first time is loaded and compiled lazily, which
 * would lengthen the pause.
 */
import type { DeviceOptions } from '../protocol/device.ts';
import { Engine } from '../protocol/engine.ts';
import { eraseEngineState } from '../protocol/engine-state.ts';
import { decodeDeviceState, encodeDeviceState } from './device-state.ts';

const ROUNDS = 3;
const OUTPUT_BYTES = 1 << 12;

/**
 * Freezes an engine of our own with one peer, and starts another one from its state.
 * @param makeOptions returns options with a cipher of its own. Called twice for each round
 */
export function rehearseHandOver(makeOptions: () => DeviceOptions): void {
  for (let round = 0; round < ROUNDS; round++) {
    const options = makeOptions();
    const engine = new Engine({ ...options, outputBytes: OUTPUT_BYTES });
    const [privateKey, publicKey] = [new Uint8Array(32), new Uint8Array(32)];
    options.random(privateKey);
    options.random(publicKey);
    engine.configure({ privateKey, peers: [{ publicKey, persistentKeepalive: 25 }] }, 0);
    const state = engine.freeze();
    const loop = { port: 1, mark: 0, counters: {}, tun: new Int32Array(4), sockets: [false, false, false, false] };
    const control = { path: '', inode: 0, removes: false };
    const bytes = encodeDeviceState({ engine: state, loop, control, isOurs: true, frozenAt: 0 });
    const next = new Engine({ ...makeOptions(), outputBytes: OUTPUT_BYTES }, decodeDeviceState(bytes).engine);
    eraseEngineState(state);
    bytes.fill(0);
    next.close();
    engine.close();
  }
}
