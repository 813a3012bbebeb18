/**
 * Measures how many handshakes per second a responder answers: thousands of initiators, with few
 * enough messages in flight that the responder is not under load.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatKeyBase64 } from '#dist/base/key.js';
import { Device, PORT } from '../contender-device.ts';
import { type Initiations, makeInitiations } from '../initiations.ts';
import type { InitiatorsReport } from '../initiators.ts';
import { type LabMeasure, TUNNELS } from '../measure.ts';
import { initiatingPeers } from '../peers.ts';

const PEERS = 4000;
const ROUNDS = 10;
const QUICK_ROUNDS = 3;
/**
 * The most messages in flight: below the thresholds of load, which are 512 queued handshakes in the
 * kernel (an eighth of its queue) and 128 in wireguard-go.
 */
const IN_FLIGHT = 64;
/** If a larger share of the messages is lost, the measurement is not valid. */
const LOSS = 0.05;
/**
 * If the generator uses a larger share of a core, it is the limit, and the measurement is not
 * valid.
 */
const BUSY = 0.7;
const GENERATOR = fileURLToPath(new URL('../initiators.js', import.meta.url));
const [PEERS_FILE, KEY_FILE, MESSAGES_FILE] = ['/run/callers.conf', '/run/responder-key', '/run/initiations'];

let prepared: Initiations | undefined;

export const handshakes: LabMeasure = {
  needs: 'lab',
  kinds: TUNNELS,
  figures: [
    { name: 'handshakes', title: 'Handshakes answered', unit: '/s', better: 'more', digits: 0, headline: true },
  ],

  async take(contender, { left, right }, { seconds, quick }) {
    prepared ??= prepare(quick ? QUICK_ROUNDS : ROUNDS);
    const { responder } = prepared;
    const device = await Device.start(contender, right, contender.oneSource);
    try {
      await device.wg('set', 'private-key', KEY_FILE, 'listen-port', String(PORT));
      await device.wg('addconf', PEERS_FILE);
      await device.up();
      const target = `${right.outer}:${PORT}`;
      const key = Buffer.from(responder.publicKey).toString('hex');
      const argv = [process.execPath, GENERATOR, MESSAGES_FILE, target, String(IN_FLIGHT), String(seconds), key];
      const report = JSON.parse(await left.namespace.run(argv)) as InitiatorsReport;
      const { answered, lost } = report;
      if (lost > LOSS * (answered + lost)) throw new Error(`${lost} initiations of ${answered + lost} went unanswered`);
      const busy = report.cpuSeconds / report.seconds;
      if (busy > BUSY) throw new Error(`the generator was the limit (${Math.round(busy * 100)} % of a core)`);
      return { handshakes: answered / report.seconds };
    } finally {
      await device.stop();
    }
  },
};

/** Prepares the files once for all daemons: each daemon is new and has not seen the initiations. */
function prepare(rounds: number): Initiations {
  const made = makeInitiations(PEERS, rounds);
  writeFileSync(PEERS_FILE, initiatingPeers(made.publicKeys).text);
  writeFileSync(KEY_FILE, `${formatKeyBase64(made.responder.privateKey)}\n`, { mode: 0o600 });
  writeFileSync(MESSAGES_FILE, made.messages);
  return made;
}
