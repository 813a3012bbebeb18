/**
 * Runs inside the machine with the kernel module, bundled into one file: every cell in turn, one
 * line of JSON each.
 */
import { PROGRAM } from '../netns/device.ts';
import { Lab } from '../netns/lab.ts';
import { underTraffic } from '../netns/numbered.ts';
import { INNER_A, INNER_B, tunnelPair } from '../netns/pair.ts';
import { handOver } from '../netns/successor.ts';
import { mustPing, transfer } from '../netns/traffic.ts';
import { CELLS, type Cell, type CellResult, HAND_OVER, type HandOverResult } from './cells.ts';

for (const cell of CELLS) {
  const start = performance.now();
  const done = (rest: Partial<CellResult>): CellResult => ({
    name: cell.name,
    seconds: (performance.now() - start) / 1000,
    ...rest,
  });
  try {
    console.log(JSON.stringify(done({ megabitsPerSecond: await tryCell(cell) })));
  } catch (error) {
    console.log(JSON.stringify(done({ error: error instanceof Error ? `${error.stack}` : String(error) })));
  }
}

console.log(
  JSON.stringify(
    await tryHandOvers().then(
      (result): HandOverResult => ({ name: HAND_OVER.name, ...result }),
      (error: Error): HandOverResult => ({ name: HAND_OVER.name, error: `${error.stack}` }),
    ),
  ),
);

async function tryHandOvers(): Promise<Partial<HandOverResult>> {
  const lab = new Lab();
  try {
    const { a, b } = await tunnelPair({ lab, a: PROGRAM, b: 'kernel', psk: true, initiator: 'a' });
    await mustPing(a.namespace, INNER_B[4], { count: 3, wait: 20 });
    const { latestHandshake } = await b.device.peer();
    const stream = { from: a.namespace, to: b.namespace, address: INNER_B[4], rate: HAND_OVER.rate };
    let isSessionKept = false;
    const pauses: number[] = [];
    const numbered = await underTraffic(stream, async () => {
      let process = a.device.process!;
      for (let n = 0; n < HAND_OVER.count; n++) {
        process = await handOver(a.namespace, a.device, process);
        pauses.push(Number(/after ([0-9.]+) ms without one/.exec(process.output())?.[1]));
        // later ones may come after two minutes, when the session is due to be renewed
        if (n === 0) isSessionKept = (await b.device.peer()).latestHandshake === latestHandshake;
      }
    });
    const { sent, received, doubled } = numbered;
    return { sent, received, doubled, pauses, isSessionKept };
  } finally {
    await lab.close();
  }
}

/** @returns Mbit/s of the TCP transfer */
async function tryCell(cell: Cell): Promise<number> {
  const lab = new Lab();
  try {
    const pair = await tunnelPair({
      lab,
      a: cell.initiator,
      b: cell.responder,
      outer: cell.outer,
      psk: cell.psk,
      initiator: 'a',
    });
    const { a, b } = pair;
    for (const inner of [4, 6] as const) {
      await mustPing(a.namespace, INNER_B[inner], { count: 3, wait: 20 });
      await mustPing(b.namespace, INNER_A[inner], { count: 3, wait: 20 });
    }
    const handshakes = [(await a.device.peer()).latestHandshake, (await b.device.peer()).latestHandshake];
    if (handshakes.includes(0)) throw new Error(`no handshake is listed: ${handshakes}`);
    // Alternate between towards the program under test and away from it.
    const forth = cell.outer === 4;
    const moved = forth
      ? await transfer(a.namespace, b.namespace, INNER_B[4], cell.bytes, 200_000)
      : await transfer(b.namespace, a.namespace, INNER_A[6], cell.bytes, 200_000);
    if (moved.bytes !== cell.bytes) throw new Error(`${moved.bytes} of ${cell.bytes} bytes arrived`);
    if (moved.sentDigest !== moved.receivedDigest) throw new Error('the checksums differ');
    return (moved.bytes * 8) / moved.seconds / 1e6;
  } finally {
    await lab.close();
  }
}
