/**
 * The network of the real cluster: a bridge in the namespace of the calling process, a cable to
 * each machine, and the routes to other nodes' pods that BIRD would set.
 */
import { run } from '../../netns/command.ts';
import type { Machine } from './machine.ts';

export const BRIDGE = 'wgts-underlay';
/** The host's address on the bridge, where the API server listens. */
export const HOST_ADDRESS = '172.20.0.254';
export const POOL = '10.244.0.0/16';

export const nodeName = (index: number): string => `node-${index}`;
export const nodeAddress = (index: number): string => `172.20.0.${index}`;
export const blockOf = (index: number): string => `10.244.${index}.0/26`;

export async function makeBridge(): Promise<void> {
  await ip(
    'link set lo up',
    `link add ${BRIDGE} type bridge`,
    `addr add ${HOST_ADDRESS}/24 dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
    // kube-apiserver does not start without a default route.
    `route add default dev ${BRIDGE}`,
  );
}

/** Connects a machine that was just powered on. */
export async function connect(machine: Machine, index: number): Promise<void> {
  const port = `port${index}`;
  await run(['ip', 'link', 'del', port], { mayFail: true });
  await ip(
    `link add ${port} type veth peer name eth0 netns ${machine.pid}`,
    `link set ${port} master ${BRIDGE}`,
    `link set ${port} up`,
  );
  await machine.ip(
    `addr add ${nodeAddress(index)}/24 dev eth0`,
    'link set eth0 up',
    // A default route beside the underlay: it takes packets for addresses that no longer exist.
    'link add uplink type bridge',
    'link set uplink up',
    'route add default dev uplink',
  );
  await machine.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
}

/** Sets the routes of one machine to the blocks of the others, and removes those to blocks gone. */
export async function routeBlocks(machine: Machine, own: number, indices: readonly number[]): Promise<void> {
  const { stdout } = await machine.run(['ip', '-4', 'route', 'show', 'proto', 'bird']);
  const wanted = new Set(indices.filter(index => index !== own).map(index => `10.244.${index}.0/26`));
  const gone = stdout
    .split('\n')
    .map(line => line.split(' ')[0]!)
    .filter(block => block !== '' && !wanted.has(block));
  await machine.ip(
    ...gone.map(block => `route del ${block} proto bird`),
    ...indices
      .filter(index => index !== own)
      .map(index => `route replace ${blockOf(index)} via ${nodeAddress(index)} dev eth0 proto bird`),
  );
}

export async function ip(...lines: readonly string[]): Promise<void> {
  await run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
