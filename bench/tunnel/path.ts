/** Adds delay or loss to the path between the hosts while an action runs. */
import { fileURLToPath } from 'node:url';
import { during, untilReady } from './command.ts';
import { PORT } from './contender-device.ts';
import type { Host, Lab } from './lab.ts';

const RELAY = fileURLToPath(new URL('delay-relay.js', import.meta.url));
/** The most packets in flight on a path with a delay. */
const NETEM_LIMIT = 100_000;
/**
 * Buffer limits that suit a host far from its peers. With the default limits, TCP's window would be
 * the limit.
 */
const WINDOWS = ['rmem', 'wmem'].map(which => `net.ipv4.tcp_${which}=4096 131072 67108864`);
const FILTER = 'bench_loss';
/** The most segments that a veth accepts in one packet. */
const ALL_SEGMENTS = 65_535;

/**
 * Runs `action` on a path with this much additional delay in each direction. @param action receives
 * the hosts with their addresses on that path
 */
export async function delayed<T>(lab: Lab, milliseconds: number, action: (lab: Lab) => Promise<T>): Promise<T> {
  const hosts = [lab.left, lab.right];
  for (const { namespace } of hosts) await namespace.run(['sysctl', '-qw', ...WINDOWS]);
  if (!(await hasNetem(lab))) return beside(lab, milliseconds, action);
  const options = ['netem', 'delay', `${milliseconds}ms`, 'limit', String(NETEM_LIMIT)];
  for (const { namespace, cable } of hosts)
    await namespace.run(['tc', 'qdisc', 'add', 'dev', cable, 'root', ...options]);
  try {
    return await action(lab);
  } finally {
    for (const { namespace, cable } of hosts) await namespace.run(['tc', 'qdisc', 'del', 'dev', cable, 'root']);
  }
}

/** Runs `action` on a second cable, which delay-relay.ts provides. */
function beside<T>(lab: Lab, milliseconds: number, action: (lab: Lab) => Promise<T>): Promise<T> {
  const slow = { left: slowEnd(lab.left), right: slowEnd(lab.right) };
  const argv = [process.execPath, RELAY, lab.left.namespace.name, lab.right.namespace.name, String(milliseconds)];
  return during(argv, async relay => {
    await untilReady('the slow cable', relay);
    for (const { namespace, cable, outer } of [slow.left, slow.right])
      await namespace.ip(
        `link set ${cable} addrgenmode none`,
        `addr add ${outer}/24 dev ${cable}`,
        `link set ${cable} up`,
      );
    return action(slow);
  });
}

/** Returns the host with its address and interface on the slow cable. */
function slowEnd(host: Host): Host {
  return { ...host, outer: host.outer.replace(/\.\d+\.(\d+)$/, '.101.$1'), cable: `slow-${host.namespace.name}` };
}

/**
 * Runs `action` while this share of the datagrams to PORT is dropped in each direction, each
 * datagram independently.
 */
export async function lossy<T>(lab: Lab, share: number, action: () => Promise<T>): Promise<T> {
  const hosts = [lab.left, lab.right];
  // Forbid super-packets, which would be lost as a whole, so that each datagram has its own chance.
  for (const { namespace, cable } of hosts) await namespace.ip(`link set ${cable} gso_max_segs 1`);
  for (const { namespace } of hosts) await namespace.run(['nft', '-f', '-'], { input: rules(share) });
  try {
    return await action();
  } finally {
    for (const { namespace, cable } of hosts) {
      await namespace.run(['nft', 'delete', 'table', 'inet', FILTER]);
      await namespace.ip(`link set ${cable} gso_max_segs ${ALL_SEGMENTS}`);
    }
  }
}

/** Returns why this machine cannot simulate loss, or undefined if it can. */
export async function whyNoLoss({ left }: Lab): Promise<string | undefined> {
  try {
    await left.namespace.run(['nft', '-f', '-'], { input: rules(0) });
    await left.namespace.run(['nft', 'delete', 'table', 'inet', FILTER]);
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
    await left.namespace.run(['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']);
    await left.namespace.run(['tc', 'qdisc', 'del', 'dev', 'lo', 'root']);
    return true;
  } catch {
    return false;
  }
}
