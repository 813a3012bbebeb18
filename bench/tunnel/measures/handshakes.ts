/** How many handshakes a second a responder answers: thousands of initiators, always a few of them waiting, fewer than mean load. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Device, PORT } from '../device.ts';
import { type Initiations, makeInitiations } from '../initiations.ts';
import type { CallersReport } from '../initiators.ts';
import { asText } from '../keys.ts';
import { type LabMeasure, TUNNELS } from '../measure.ts';
import { callingPeers } from '../peers.ts';

const PEERS = 4000;
const ROUNDS = 10;
const QUICK_ROUNDS = 3;
/** An eighth of the kernel's queue, 512, means load; wireguard-go's is the same. */
const IN_FLIGHT = 64;
/** More than this lost, and what is counted is not what was asked for. */
const LOSS = 0.05;
/** A generator that is busy for a larger part of the time is what is measured. */
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
      const report = JSON.parse(await left.place.run(argv)) as CallersReport;
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

/** Once for all: every daemon is new and has seen none of them. */
function prepare(rounds: number): Initiations {
  const made = makeInitiations(PEERS, rounds);
  writeFileSync(PEERS_FILE, callingPeers(made.publicKeys).text);
  writeFileSync(KEY_FILE, `${asText(made.responder.privateKey)}\n`, { mode: 0o600 });
  writeFileSync(MESSAGES_FILE, made.messages);
  return made;
}
