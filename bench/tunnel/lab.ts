/** Two hosts and the cable between them, with the addresses that all measures use. */
import { run } from './command.ts';
import { Namespace } from './namespace.ts';

export interface Host {
  readonly namespace: Namespace;
  /** The address on the cable. */
  readonly outer: string;
  /** The address in the tunnel. */
  readonly inner: string;
  /** The interface at this end of the cable. */
  readonly cable: string;
}

export interface Lab {
  readonly left: Host;
  readonly right: Host;
}

/** The MTU of Ethernet, which fits a packet of TUNNEL_MTU and WireGuard's header. */
const CABLE_MTU = 1500;
export const TUNNEL_MTU = 1420;

/** Mounts a separate /run and creates the hosts. Call it only inside the namespaces (enter.ts). */
export async function makeLab(): Promise<Lab> {
  await run(['mount', '-t', 'tmpfs', 'none', '/run']);
  const [left, right] = [await makeHost('left', 1), await makeHost('right', 2)];
  await left.namespace.ip(`link add ${left.cable} mtu ${CABLE_MTU} type veth peer name ${right.cable} netns right`);
  for (const { namespace, outer, cable } of [left, right])
    await namespace.ip(
      `link set ${cable} mtu ${CABLE_MTU} addrgenmode none`,
      `addr add ${outer}/24 dev ${cable}`,
      `link set ${cable} up`,
    );
  return { left, right };
}

async function makeHost(name: string, number: number): Promise<Host> {
  const namespace = await Namespace.make(name);
  return { namespace, outer: `192.168.100.${number}`, inner: `10.100.0.${number}`, cable: `cable-${name}` };
}
