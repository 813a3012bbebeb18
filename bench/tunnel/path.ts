/** What is done to the path between the hosts: a delay, or loss. Each puts things back as they were. */
import { fileURLToPath } from 'node:url';
import { during, until } from './command.ts';
import { PORT } from './device.ts';
import type { Host, Lab } from './lab.ts';

const RELAY = fileURLToPath(new URL('delay-relay.js', import.meta.url));
/** Packets under way on a path with a delay. */
const NETEM_LIMIT = 100_000;
/** As wide as a host far away from its peers sets them: otherwise the window is what is measured. */
const WINDOWS = ['rmem', 'wmem'].map(which => `net.ipv4.tcp_${which}=4096 131072 67108864`);
const FILTER = 'bench_loss';
/** What a veth takes at once. */
const ALL_SEGMENTS = 65_535;

/** Runs `action` on a path that takes so many milliseconds longer in each direction. @param action gets the hosts as they are then */
export async function delayed<T>(lab: Lab, milliseconds: number, action: (lab: Lab) => Promise<T>): Promise<T> {
  const hosts = [lab.left, lab.right];
  for (const { place } of hosts) await place.run(['sysctl', '-qw', ...WINDOWS]);
  if (!(await hasNetem(lab))) return beside(lab, milliseconds, action);
  const options = ['netem', 'delay', `${milliseconds}ms`, 'limit', String(NETEM_LIMIT)];
  for (const { place, cable } of hosts) await place.run(['tc', 'qdisc', 'add', 'dev', cable, 'root', ...options]);
  try {
    return await action(lab);
  } finally {
    for (const { place, cable } of hosts) await place.run(['tc', 'qdisc', 'del', 'dev', cable, 'root']);
  }
}

/** On a second cable, of our own making. */
function beside<T>(lab: Lab, milliseconds: number, action: (lab: Lab) => Promise<T>): Promise<T> {
  const slow = { left: slowEnd(lab.left), right: slowEnd(lab.right) };
  const argv = [process.execPath, RELAY, lab.left.place.name, lab.right.place.name, String(milliseconds)];
  return during(argv, async relay => {
    await until('the slow cable', () => relay.stdout().includes('ready') || relay.outcome() !== undefined);
    if (relay.outcome()) throw new Error(`the slow cable: ${relay.stderr()}`);
    for (const { place, cable, outer } of [slow.left, slow.right])
      await place.ip(`link set ${cable} addrgenmode none`, `addr add ${outer}/24 dev ${cable}`, `link set ${cable} up`);
    return action(slow);
  });
}

/** The host with its end of the slow cable. */
function slowEnd(host: Host): Host {
  return { ...host, outer: host.outer.replace(/\.\d+\.(\d+)$/, '.101.$1'), cable: `slow-${host.place.name}` };
}

/** Runs `action` on a path that loses this share of all datagrams to PORT, one by one, in each direction. */
export async function lossy<T>(lab: Lab, share: number, action: () => Promise<T>): Promise<T> {
  const hosts = [lab.left, lab.right];
  // one datagram, one chance: a super-packet would go lost as a whole
  for (const { place, cable } of hosts) await place.ip(`link set ${cable} gso_max_segs 1`);
  for (const { place } of hosts) await place.run(['nft', '-f', '-'], { input: rules(share) });
  try {
    return await action();
  } finally {
    for (const { place, cable } of hosts) {
      await place.run(['nft', 'delete', 'table', 'inet', FILTER]);
      await place.ip(`link set ${cable} gso_max_segs ${ALL_SEGMENTS}`);
    }
  }
}

/** Why loss cannot be made here; undefined when it can. */
export async function whyNoLoss({ left }: Lab): Promise<string | undefined> {
  try {
    await left.place.run(['nft', '-f', '-'], { input: rules(0) });
    await left.place.run(['nft', 'delete', 'table', 'inet', FILTER]);
    return undefined;
  } catch (error) {
    return `nft cannot drop at random (${(error as Error).message.split('\n')[0]})`;
  }
}

function rules(share: number): string {
  const drop = `numgen random mod 10000 < ${Math.round(share * 10_000)} drop`;
  return `table inet ${FILTER} {
    chain arriving {
      type filter hook input priority 0;
      udp dport ${PORT} ${drop}
    }
  }\n`;
}

async function hasNetem({ left }: Lab): Promise<boolean> {
  try {
    await left.place.run(['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']);
    await left.place.run(['tc', 'qdisc', 'del', 'dev', 'lo', 'root']);
    return true;
  } catch {
    return false;
  }
}
