/**
 * `npm run soak`: two devices under traffic for hours. The left one is handed over, killed and
 * adopted, moved, given other peers and made to begin sessions, at random. The right one stays the
 * same process, so its memory and its descriptors show what leaks.
 */
import { randomBytes } from 'node:crypto';
import { sleep } from '../tunnel/command.ts';
import { enter, isInside, watchOutside } from '../tunnel/enter.ts';
import { type KeyPair, makeKeyPair } from '../tunnel/keys.ts';
import { type Host, makeLab } from '../tunnel/lab.ts';
import { NonceSniffer } from './nonces.ts';
import { parseOptions, type SoakOptions, USAGE } from './options.ts';
import { type Action, Phases } from './phases.ts';
import { reportSoak } from './report.ts';
import { SoakDevice, type Usage } from './soak-device.ts';
import { Traffic } from './traffic.ts';

/** How often each action is chosen, of 100. */
const SHARES: readonly [Action, number][] = [
  ['hand-over', 35],
  ['initiate', 25],
  ['roam', 15],
  ['peers', 15],
  ['kill', 10],
];
const SAMPLE_MS = 5000;
/**
 * Makes each collection of V8 a whole one. Otherwise a quiet process collects its old heap less
 * than once an hour, and what waits for that looks like a leak.
 */
const COLLECT_ALL = ['--gc-global'];
/** The largest number of peers that come and go together. */
const CROWD = 40;

const args = process.argv.slice(2);
const options = parseOptions(args);
if (args.includes('--help') || args.includes('-h')) process.stdout.write(USAGE);
else if (typeof options === 'string') {
  process.stderr.write(`wireguard-ts soak: ${options}\n\n${USAGE}`);
  process.exitCode = 1;
} else if (isInside()) process.exitCode = await soak(options);
else process.exitCode = await enter();

async function soak({ seconds, seed, rate, every }: SoakOptions): Promise<number> {
  watchOutside();
  console.log(`soak: ${seconds} s, --seed=${seed}, --rate=${rate}, --every=${every}`);
  const random = randomFrom(seed);
  const lab = await makeLab();
  // so that the capture sees each message alone
  for (const { namespace, cable } of [lab.left, lab.right])
    await namespace.run(['ethtool', '-K', cable, 'tx-udp-segmentation', 'off']);
  const [leftKeys, rightKeys] = [makeKeyPair(), makeKeyPair()];
  const left = await SoakDevice.start(lab.left, leftKeys);
  const right = await SoakDevice.start(lab.right, rightKeys, COLLECT_ALL);
  await left.configure(rightKeys, lab.right);
  await right.configure(leftKeys, lab.left);
  const sniffers = [lab.left, lab.right].map(sniffer);
  await lab.left.namespace.run(['ping', '-c', '3', '-i', '0.3', '-W', '20', lab.right.inner]);
  const traffic = await Traffic.start(lab, rate, seconds);
  const phases = new Phases();
  const usage = { left: [] as Usage[], right: [] as Usage[] };
  const sample = (): void => {
    usage.left.push(left.usage());
    usage.right.push(right.usage());
  };
  const failures: string[] = [];
  const end = Date.now() + seconds * 1000;
  let [nextSample, nextAction] = [0, Date.now() + 5000];
  const place = { address: lab.left.outer, crowd: [] as string[] };
  while (Date.now() < end && failures.length === 0) {
    try {
      right.check();
      left.check();
      if (Date.now() >= nextSample) sample();
      if (Date.now() >= nextSample) nextSample = Date.now() + SAMPLE_MS;
      if (Date.now() >= nextAction && Date.now() < end - 10_000) {
        const action = choose(random);
        process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${action}\n`);
        await phases.during(action, () => act(action, { left, lab: lab.left, rightKeys, place, random }));
        nextAction = Date.now() + (0.5 + random()) * every * 1000;
      }
    } catch (error) {
      failures.push((error as Error).message);
    }
    await sleep(100);
  }
  const results = await traffic.stop(phases);
  const droppedBySockets = await traffic.droppedBySockets();
  for (const one of sniffers) await one.stop();
  await left.stop();
  await right.stop();
  return reportSoak({
    ...results,
    droppedBySockets,
    phases,
    usage,
    sniffers,
    pauses: left.pauses,
    failures,
    seconds,
    rate,
  });
}

interface Stage {
  readonly left: SoakDevice;
  readonly lab: Host;
  readonly rightKeys: KeyPair;
  readonly place: { address: string; crowd: string[] };
  readonly random: () => number;
}

async function act(action: Action, { left, lab, rightKeys, place, random }: Stage): Promise<void> {
  switch (action) {
    case 'hand-over':
      return left.handOver();
    case 'kill':
      return left.kill();
    case 'initiate':
      return left.initiate(rightKeys);
    case 'roam': {
      // the old address stays, so what is on its way to it still arrives
      const next = `192.168.100.${10 + Math.floor(random() * 200)}`;
      const { namespace, cable } = lab;
      const gone = place.address === lab.outer ? [] : [`addr del ${place.address}/24 dev ${cable}`];
      if (next !== place.address) {
        await namespace.ip(`addr add ${next}/24 dev ${cable}`);
        await namespace.ip(`route replace 192.168.100.0/24 dev ${cable} src ${next}`);
        await sleep(1000);
        if (gone.length > 0) await namespace.ip(...gone);
        place.address = next;
      }
      return;
    }
    case 'peers': {
      const gone = place.crowd.flatMap(key => ['peer', key, 'remove']);
      place.crowd = Array.from({ length: 1 + Math.floor(random() * CROWD) }, () => randomBytes(32).toString('base64'));
      const come = place.crowd.flatMap((key, i) => [
        ...['peer', key, 'endpoint', `192.168.100.250:${2000 + i}`],
        ...['persistent-keepalive', '5', 'allowed-ips', `10.200.0.${i}/32`],
      ]);
      await left.wg('set', ...gone, ...come);
    }
  }
}

function choose(random: () => number): Action {
  let dice = random() * 100;
  for (const [action, share] of SHARES) {
    if (dice < share) return action;
    dice -= share;
  }
  return 'initiate';
}

/** Watches what a host sends: the first bytes of each datagram. */
function sniffer({ namespace, cable }: Host): NonceSniffer {
  const capture = ['tcpdump', '-i', cable, '-Q', 'out', '-s', '64', '-B', '16384', '-U', '-w', '-', 'udp'];
  return new NonceSniffer(['ip', 'netns', 'exec', namespace.name, ...capture]);
}

/** mulberry32: enough to choose actions, and the same for a seed everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
