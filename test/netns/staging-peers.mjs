// The program of memory-limit.test.ts: an engine with many peers that never answer, all of which
// have as many packets waiting as they may.
//
//   node staging-peers.mjs DIST PEERS PACKETS shares|unlimited
//
// Prints one line of JSON. `shares` takes the shares of the limit that this process finds.
import { pathToFileURL } from 'node:url';

const [dist, peers, packets, mode] = [
  process.argv[2],
  Number(process.argv[3]),
  Number(process.argv[4]),
  process.argv[5],
];
const load = path => import(pathToFileURL(`${dist}/${path}.js`).href);
const { makeBackend } = await load('daemon/backend');
const { memoryLimit } = await load('daemon/memory-limit');
const { sharesOf } = await load('daemon/memory-shares');
const { offloadsWithout } = await load('daemon/offloads');
const { systemRandom } = await load('io/system');
const { makePacketBatch } = await load('packet/batch');
const { Engine } = await load('protocol/engine');
const { makeEndpoint } = await load('base/endpoint');
const { makePrefix } = await load('base/prefix');

const limit = memoryLimit();
const stagedBytes = mode === 'shares' ? sharesOf(limit?.bytes).staged : 2 ** 50;
const { crypto, cipher } = makeBackend('native', offloadsWithout(new Set()));
const random = systemRandom();
const engine = new Engine({ crypto, cipher, random, wall: () => 10n ** 18n, stagedBytes });
const key = () => {
  const bytes = new Uint8Array(32);
  random(bytes);
  return bytes;
};
engine.configure({ privateKey: key() }, 0);
const address = i => Uint8Array.of(10, i >> 16, (i >> 8) & 255, i & 255);
for (let i = 0; i < peers; i++)
  engine.configure(
    {
      peers: [
        {
          publicKey: key(),
          endpoint: makeEndpoint(address(i), 51820),
          allowedIps: [{ prefix: makePrefix(address(i), 32) }],
        },
      ],
    },
    0,
  );
engine.up(0);
const SIZE = 1410;
const batch = makePacketBatch(256 * 1424, 256);
const at = 1000;
for (let round = 0; round < packets; round++)
  for (let first = 0; first < peers; first += 256) {
    batch.count = Math.min(256, peers - first);
    for (let i = 0; i < batch.count; i++) {
      const offset = i * 1424;
      batch.slab.fill(0, offset, offset + 10 + SIZE);
      batch.slab.set(
        [0x45, 0, SIZE >> 8, SIZE & 255, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, ...address(first + i)],
        offset + 10,
      );
      batch.desc.set([offset, 10 + SIZE], 2 * i);
    }
    for (let taken = 0; taken < batch.count; ) {
      taken = engine.send(batch, taken, at);
      engine.drained();
    }
  }
const { counters } = engine;
console.log(
  JSON.stringify({
    limit: limit?.bytes,
    stagedBytes,
    rss: process.memoryUsage().rss,
    heapLimit: (await import('node:v8')).getHeapStatistics().heap_size_limit,
    stagedOverBudget: counters.stagedOverBudget,
    stagedOverflow: counters.stagedOverflow,
    initiationsSent: counters.initiationsSent,
  }),
);
engine.close();
