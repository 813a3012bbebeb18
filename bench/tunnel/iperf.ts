/** Transfers data through a tunnel with iperf3, from the left host to the right one. */
import { readFileSync } from 'node:fs';
import { until } from './command.ts';
import { type Datagrams, parseTcp, parseUdp, type Transfer } from './iperf-report.ts';
import type { Lab } from './lab.ts';

export interface TcpOptions {
  readonly seconds: number;
  readonly streams?: number;
  /** Whether to send from right to left. */
  readonly reverse?: boolean;
  /** Seconds at the start that do not count, because TCP is still finding its rate. */
  readonly omit?: number;
  /** The name of the congestion control in tcp(7). */
  readonly congestion?: Congestion;
}

export type Congestion = 'cubic' | 'bbr';

/** Linux's default, set explicitly: results must not depend on the sysctl of this machine. */
export const USUAL_CONGESTION: Congestion = 'cubic';

interface UdpOptions {
  readonly seconds: number;
  /** Bytes of payload. */
  readonly size: number;
  /** Bits per second; 0 means unlimited. */
  readonly rate: number;
}

/** The path of a transfer: the hosts, their addresses, and the interfaces if there is a tunnel. */
export interface IperfPath {
  readonly lab: Lab;
  readonly left: string;
  readonly right: string;
  readonly devices: readonly { readonly name: string }[];
}

export interface Iperf {
  tcp(options: TcpOptions): Promise<Transfer>;
  udp(options: UdpOptions): Promise<Datagrams>;
}

/**
 * The desired size of socket buffers for datagrams: large enough that only the tunnel loses
 * packets. The system's limits may reduce it.
 */
const WANTED_BUFFER = 2 << 20;

export function makeIperf({ lab, left, right, devices }: IperfPath): Iperf {
  async function transfer(seconds: number, args: readonly string[], omit = 0): Promise<string> {
    return lab.right.namespace.during(['iperf3', '-s', '-1', '-B', right, '--forceflush'], async server => {
      await until('iperf3', () => server.stdout().includes('listening') || server.outcome() !== undefined);
      const argv = ['iperf3', '-c', right, '-J', '-t', String(Math.ceil(seconds)), '-O', String(omit), ...args];
      const client = lab.left.namespace.start(argv);
      const timer = setTimeout(() => void client.stop(), (seconds + omit) * 1000 + 20_000);
      const { stdout, stderr } = await client.ended;
      clearTimeout(timer);
      return stdout || stderr;
    });
  }
  /**
   * Sets the congestion control on the route, so that connections use it from their first packet.
   * iperf3's own option sets it on an established connection, and a connection that began with BBR
   * remains paced by timers after the change.
   */
  async function setCongestion(congestion: Congestion): Promise<void> {
    const [here, there] = [devices[0]?.name ?? lab.left.cable, devices[1]?.name ?? lab.right.cable];
    await lab.left.namespace.ip(`route replace ${right}/32 dev ${here} congctl ${congestion}`);
    await lab.right.namespace.ip(`route replace ${left}/32 dev ${there} congctl ${congestion}`);
  }
  return {
    async tcp({ seconds, streams = 1, reverse = false, omit = 0, congestion = USUAL_CONGESTION }) {
      await setCongestion(congestion);
      return parseTcp(await transfer(seconds, ['-P', String(streams), ...(reverse ? ['-R'] : [])], omit), congestion);
    },
    async udp({ seconds, size, rate }) {
      const args = ['-u', '-l', String(size), '-b', String(Math.round(rate)), '-w', String(buffer())];
      return parseUdp(await transfer(seconds, args));
    },
  };
}

/** Returns why the kernel cannot use a congestion control, or undefined if it can. */
export function whyUnavailable(congestion: Congestion): string | undefined {
  const available = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').trim();
  if (available.split(' ').includes(congestion)) return undefined;
  return `the kernel has no ${congestion} (it has ${available}; modprobe tcp_${congestion} may add it)`;
}

function buffer(): number {
  const limits = ['rmem_max', 'wmem_max'].map(name => Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8')));
  return Math.min(WANTED_BUFFER, ...limits);
}
