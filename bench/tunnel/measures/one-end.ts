/**
 * Measures one end of a tunnel alone: the other end is a program that costs next to nothing
 * (far-end.ts). So both cores serve the measured device, beside the source of the traffic. What is
 * sent is counted on the cable, and what is received at the interface. A super-packet counts there
 * with one header, so a device that sends them loses 3 % to one that does not.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatKeyBase64 } from '#dist/base/key.js';
import type { BulkReport } from '../bulk-source.ts';
import { untilReady } from '../command.ts';
import { Device, PORT } from '../contender-device.ts';
import type { Contender } from '../contenders.ts';
import type { FarEndReport, FarEndSettings } from '../far-end.ts';
import { makeKeyPair } from '../keys.ts';
import type { Host, Lab } from '../lab.ts';
import { type LabMeasure, TUNNELS } from '../measure.ts';

const SOURCE = fileURLToPath(new URL('../bulk-source.js', import.meta.url));
const FAR_END = fileURLToPath(new URL('../far-end.js', import.meta.url));
const KEY_FILE = '/run/one-end-key';
/** Rates that the source offers, in bits per second. The best result counts. */
const OFFERED = [3e9, 9e9, 18e9, 27e9];
const WARM_UP_BITS = 2e9;
const STREAM_BYTES = 1e9;
const QUICK_STREAM_BYTES = 2e8;

export const oneEndSending: LabMeasure = {
  needs: 'lab',
  kinds: TUNNELS,
  figures: [{ name: 'sending', title: 'One end alone, sending', unit: 'Gbit/s', better: 'more', digits: 2 }],

  async take(contender, lab, { seconds }) {
    return await withOneEnd(contender, lab, { role: 'sink', bytes: 0 }, async () => {
      const { left, right } = lab;
      const send = async (rate: number): Promise<number> => {
        const before = await countOf(left, left.cable, 'tx_bytes');
        const argv = [process.execPath, SOURCE, `${right.inner}:9`, String(rate), String(seconds)];
        const report = JSON.parse(await left.namespace.run(argv)) as BulkReport;
        return (((await countOf(left, left.cable, 'tx_bytes')) - before) * 8) / report.seconds / 1e9;
      };
      await send(WARM_UP_BITS);
      let best = 0;
      for (const rate of OFFERED) best = Math.max(best, await send(rate));
      return { sending: best };
    });
  },
};

export const oneEndReceiving: LabMeasure = {
  needs: 'lab',
  kinds: TUNNELS,
  figures: [{ name: 'receiving', title: 'One end alone, receiving', unit: 'Gbit/s', better: 'more', digits: 2 }],

  async take(contender, lab, { quick }) {
    const bytes = quick ? QUICK_STREAM_BYTES : STREAM_BYTES;
    return await withOneEnd(contender, lab, { role: 'source', bytes }, async (far, device) => {
      const before = await countOf(lab.left, device.name, 'rx_bytes');
      const { seconds } = await far.go();
      const after = await countOf(lab.left, device.name, 'rx_bytes');
      return { receiving: ((after - before) * 8) / seconds / 1e9 };
    });
  },
};

interface FarEnd {
  /** Sends the stream. */
  go(): Promise<FarEndReport>;
}

/** Runs a contender on the left host, with a session with a far end on the right one. */
async function withOneEnd<T>(
  contender: Contender,
  { left, right }: Lab,
  what: Pick<FarEndSettings, 'role' | 'bytes'>,
  work: (far: FarEnd, device: Device) => Promise<T>,
): Promise<T> {
  const [own, other] = [makeKeyPair(), makeKeyPair()];
  const device = await Device.start(contender, left);
  try {
    writeFileSync(KEY_FILE, `${formatKeyBase64(own.privateKey)}\n`, { mode: 0o600 });
    const peer = ['peer', formatKeyBase64(other.publicKey), 'allowed-ips', `${right.inner}/32`];
    await device.wg('set', 'private-key', KEY_FILE, 'listen-port', String(PORT), ...peer);
    await device.up();
    const settings: FarEndSettings = {
      ...what,
      privateKey: Buffer.from(other.privateKey).toString('hex'),
      peer: Buffer.from(own.publicKey).toString('hex'),
      port: PORT,
      endpoint: `${left.outer}:${PORT}`,
      from: right.inner,
      to: left.inner,
    };
    const far = right.namespace.start([process.execPath, FAR_END, JSON.stringify(settings)], { keepInput: true });
    try {
      await untilReady('the far end', far);
      const go = async () => {
        far.endInput('go\n');
        const { stdout, stderr } = await far.ended;
        const line = stdout.split('\n')[1];
        if (!line) throw new Error(`the far end failed: ${stderr.slice(-300)}`);
        return JSON.parse(line) as FarEndReport;
      };
      return await work({ go }, device);
    } finally {
      await far.stop();
    }
  } finally {
    await device.stop();
  }
}

async function countOf({ namespace }: Host, device: string, counter: string): Promise<number> {
  return Number(await namespace.run(['cat', `/sys/class/net/${device}/statistics/${counter}`]));
}
