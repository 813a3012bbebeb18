/**
 * A host for `wgts up` or wg-quick: a namespace with an uplink, the command lines, and a picture of
 * everything that they change.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Result, type Running, until } from './command.ts';
import { ROOT, SOCKET_DIRECTORY } from './device.ts';
import type { Lab, Namespace } from './lab.ts';

export const WGTS = [process.execPath, join(ROOT, 'dist/program/wgts.cjs')];
const ENV = { WG_QUICK_USERSPACE_IMPLEMENTATION: join(ROOT, 'bin/wireguard-ts') };

export class QuickHost {
  readonly namespace: Namespace;
  readonly name: string;
  readonly file: string;
  readonly state: string;
  readonly #lab: Lab;

  private constructor(lab: Lab, namespace: Namespace) {
    this.#lab = lab;
    this.namespace = namespace;
    this.name = lab.interfaceName();
    this.file = join(lab.directory, `${this.name}.conf`);
    const { ino } = statSync(`/var/run/netns/${namespace.name}`);
    this.state = `/run/wireguard-ts/${this.name}.${ino}.json`;
    lab.owns(this.state);
    lab.owns(join(SOCKET_DIRECTORY, `${this.name}.sock`));
  }

  static async start(lab: Lab, label: string): Promise<QuickHost> {
    const namespace = await lab.namespace(label);
    await namespace.ip(
      'link add eth0 type veth peer name eth1',
      'addr add 192.0.2.2/24 dev eth0',
      'addr add 2001:db8:1::2/64 dev eth0 nodad',
      'link set eth0 addrgenmode none',
      'link set eth1 addrgenmode none',
      'link set eth0 mtu 1450 up',
      'link set eth1 up',
      'route add default via 192.0.2.1',
      'route add ::/0 via 2001:db8:1::1',
    );
    const host = new QuickHost(lab, namespace);
    // The kernel adds routes once it has seen the carrier, and the picture from before must include
    // them.
    await until('the uplink to settle', async () => {
      const { routes, 'IPv6 routes': routes6 } = await host.picture();
      return (
        !`${routes}${routes6}`.includes('linkdown') && routes6!.match(/^multicast ff00::\/8 dev eth/gm)?.length === 2
      );
    });
    return host;
  }

  write(text: string): void {
    rmSync(this.file, { force: true });
    this.#lab.file(text, `${this.name}.conf`);
  }

  wgts(...args: readonly string[]): Promise<Result> {
    return this.namespace.run([...WGTS, ...args, this.file], { mayFail: true });
  }

  startWgts(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    return this.namespace.start([...WGTS, ...args, this.file], { env });
  }

  wgQuick(verb: string): Promise<Result> {
    return this.namespace.run(['wg-quick', verb, this.file], { env: ENV, mayFail: true });
  }

  /** Returns the pid of the process that runs the interface, found by its command line. */
  async devicePid(): Promise<number> {
    const { stdout } = await this.namespace.run(['ip', 'netns', 'pids', this.namespace.name]);
    const pids = stdout.split('\n').filter(pid => pid !== '');
    const found = pids.find(pid => {
      const arguments_ = commandLine(pid);
      return arguments_.includes('wireguard-ts.cjs') && arguments_.endsWith(`\0${this.name}\0`);
    });
    if (found === undefined) throw new Error(`no process runs ${this.name}`);
    return Number(found);
  }

  /** Returns the output of ip, wg and nft, without what differs between two hosts. */
  async picture(): Promise<Record<string, string>> {
    const picture: Record<string, string> = {};
    const commands = {
      routes: ['ip', 'route', 'show', 'table', 'all'],
      'IPv6 routes': ['ip', '-6', 'route', 'show', 'table', 'all'],
      rules: ['ip', 'rule'],
      'IPv6 rules': ['ip', '-6', 'rule'],
      addresses: ['ip', 'addr', 'show', 'dev', this.name],
      device: ['wg', 'showconf', this.name],
      firewall: ['nft', 'list', 'ruleset'],
      src_valid_mark: ['sysctl', 'net.ipv4.conf.all.src_valid_mark'],
    };
    for (const [what, argv] of Object.entries(commands)) {
      const { stdout } = await this.namespace.run(argv, { mayFail: true });
      picture[what] = what.endsWith('routes') ? sorted(this.#normal(stdout)) : this.#normal(stdout);
    }
    return picture;
  }

  #normal(text: string): string {
    return (
      text
        .replaceAll(this.name, 'IF')
        .replaceAll(this.namespace.name, 'NS')
        // A TUN has an operational state only after it lost its carrier.
        .replace(/ state (UP|UNKNOWN) group/, ' state UP group')
        .replace(/fe80::[0-9a-f:]+(?=[/ ])(?!\/64 dev)/g, 'fe80::X')
        .replace(/^[0-9]+: /, '')
    );
  }
}

/** Sorts the kernel's routes of an interface, whose order depends on the order of interfaces. */
function sorted(lines: string): string {
  return lines.split('\n').sort().join('\n');
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // The process has ended.
  }
}
