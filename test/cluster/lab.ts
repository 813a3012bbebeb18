/**
 * A laboratory cluster on one machine: a real control plane, nodes as network namespaces on a
 * bridge, pods as namespaces behind them, the installed agent on each node, and the routes that
 * BIRD would set. Everything runs in the test's own network namespace (own-namespace.ts), which
 * holds the bridge and the control plane.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Family } from '../../src/base/family.ts';
import { type Result, type Running, run, sleep, start, until } from '../netns/command.ts';
import { Lab, type Namespace } from '../netns/lab.ts';
import { Bird } from './bird.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, type Manifest, startControlPlane } from './control-plane.ts';
import { blockOf, GROUP, ipamBlock, KEY, node, nodeAddress, nodeName, path, podAddress, pool } from './objects.ts';
import { Conversation } from './pod-traffic.ts';
import { Underlay } from './underlay.ts';

const BRIDGE = 'wgts-underlay';
const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
const HOST = { 4: '172.20.0.254', 6: 'fd20::fe' } as const;
/** The address of the node's end of each pod's veth. */
const GATEWAY = { 4: '169.254.1.1', 6: 'fe80::1' } as const;

export interface LabNode {
  readonly index: number;
  readonly namespace: Namespace;
  /** A process that holds the node's mounts: each node has its own /run, like a machine. */
  readonly machine: Running;
  agent?: Running;
  /** Output of the agents so far. */
  readonly log: string;
}

export interface LabPod {
  readonly namespace: Namespace;
  readonly cable: string;
  readonly node: LabNode;
  readonly addresses: readonly string[];
}

export class ClusterLab {
  readonly bridge = BRIDGE;
  readonly families: readonly Family[];
  readonly plane: ControlPlane;
  /** Captures every packet on the underlay from or to a pod's address. */
  readonly plaintext: Underlay;
  /** Captures every packet of WireGuard's ports. */
  readonly encrypted: Underlay;
  readonly nodes = new Map<number, LabNode>();
  readonly pods: LabPod[] = [];
  readonly talk: Conversation;
  readonly #lab: Lab;
  readonly #bird = new Bird();
  /** Prefix of the interface names of pods. */
  podPrefix = 'cali';
  #cables = 0;

  private constructor(
    families: readonly Family[],
    lab: Lab,
    plane: ControlPlane,
    plaintext: Underlay,
    encrypted: Underlay,
  ) {
    this.families = families;
    this.#lab = lab;
    this.talk = new Conversation(lab.file('', 'talkers'));
    this.plane = plane;
    this.plaintext = plaintext;
    this.encrypted = encrypted;
  }

  /** Opens a cluster without nodes and with WireGuard off. */
  static async start(families: readonly Family[]): Promise<ClusterLab> {
    const lab = new Lab();
    const addresses = families.map(family => `addr add ${HOST[family]}/${family === 4 ? 24 : 64} dev ${BRIDGE}`);
    const lines = ['link set lo up', `link add ${BRIDGE} type bridge`, `link set ${BRIDGE} up`, ...addresses];
    await run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
    const plane = await startControlPlane({ address: HOST[families[0]!] });
    try {
      await plane.apply(...calicoCrds(GROUP), ...families.map(pool));
      await plane.apply({ apiVersion: GROUP, kind: 'FelixConfiguration', metadata: { name: 'default' }, spec: {} });
      const pods = '(ip and net 10.244.0.0/16) or (ip6 and net fd10:244::/32)';
      const plaintext = await Underlay.watch(BRIDGE, join(lab.directory, 'plaintext.pcap'), pods);
      const ports = 'udp portrange 51820-51821';
      const encrypted = await Underlay.watch(BRIDGE, join(lab.directory, 'encrypted.pcap'), ports);
      return new ClusterLab(families, lab, plane, plaintext, encrypted);
    } catch (error) {
      await plane.stop();
      await lab.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.plaintext.stop(), this.encrypted.stop()]);
    for (const { agent } of this.nodes.values()) await agent?.stop('SIGKILL');
    await this.#lab.close();
    for (const { machine } of this.nodes.values()) await machine.stop('SIGKILL');
    await this.plane.stop();
    await run(['ip', 'link', 'del', BRIDGE]);
  }

  /** Adds a machine on the network, and its Node. */
  async addNode(index: number): Promise<LabNode> {
    const namespace = await this.#lab.namespace(`node${index}`);
    const port = `port${index}`;
    await run(['ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace.name]);
    await run(['ip', 'link', 'set', port, 'master', BRIDGE, 'up']);
    await namespace.ip(
      ...this.families.map(family => `addr add ${nodeAddress(index, family)}/${family === 4 ? 24 : 64} dev eth0`),
      'link set eth0 up',
      // A default route, without which Felix does not start; beside the underlay, because it takes
      // packets for addresses that no longer exist.
      'link add uplink type bridge',
      'link set uplink up',
      ...this.families.map(family => `route add ${family === 4 ? '0.0.0.0/0' : '::/0'} dev uplink`),
    );
    await namespace.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    const own = 'mount -t tmpfs none /run && mkdir -p /run/wireguard && echo mounted && exec sleep infinity';
    const machine = start(namespace.inside(['unshare', '-m', 'sh', '-c', own]));
    await until('the mounts of a node', () => machine.output().includes('mounted'));
    const made: LabNode = { index, namespace, machine, log: join(this.#lab.directory, `agent${index}.log`) };
    this.nodes.set(index, made);
    await this.plane.apply(node(index, this.families));
    await this.#bird.announce(this.nodes.values());
    return made;
  }

  /** Removes a node's objects in Calico's order: its pods, its routes, its blocks, its Node. */
  async removeNode(index: number): Promise<void> {
    const gone = this.node(index);
    for (const pod of this.pods.filter(each => each.node === gone)) await this.removePod(pod);
    this.#bird.forgetNode(index);
    await this.#bird.announce(this.nodes.values());
    for (const family of this.families) await this.plane.api('DELETE', path('IPAMBlock', blockOf(index, family)));
    await this.plane.api('DELETE', path('Node', nodeName(index)));
    await gone.agent?.stop();
    this.nodes.delete(index);
    await gone.namespace.stopAll();
    await run(['ip', 'link', 'del', `port${index}`]);
    await gone.machine.stop('SIGKILL');
  }

  node(index: number): LabNode {
    const found = this.nodes.get(index);
    if (!found) throw new Error(`there is no node ${index}`);
    return found;
  }

  /** Runs a command on the machine, with its network and its /run. */
  inside({ machine }: LabNode, argv: readonly string[]): string[] {
    return ['nsenter', '-t', String(machine.pid), '-m', '-n', '--', ...argv];
  }

  startAgent(of: LabNode, ...more: readonly string[]): void {
    const options = ['--node', nodeName(of.index), '--kubeconfig', this.plane.kubeconfig, '--key-dir', this.keys(of)];
    const argv = [process.execPath, WGTS, 'calico', ...options, ...more];
    // No pipe of ours: the tunnel outlives its agent, and would hold the pipe open.
    const quiet = ['sh', '-c', `exec "$@" >>${of.log} 2>&1`, 'sh', ...argv];
    of.agent = start(this.inside(of, quiet), { env: { NODENAME: nodeName(of.index) } });
  }

  /** Returns the agent's answer of /readyz; undefined while it does not listen. */
  async ready(
    of: LabNode,
  ): Promise<{ readonly ready: boolean; readonly phase: string; readonly stale?: string } | undefined> {
    const get = 'exec 3<>/dev/tcp/127.0.0.1/9096; printf "GET /readyz HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3';
    const { stdout } = await run(this.inside(of, ['bash', '-c', get]), { mayFail: true });
    const body = stdout.slice(stdout.indexOf('\r\n\r\n') + 4);
    return body === '' ? undefined : (JSON.parse(body) as { ready: boolean; phase: string; stale?: string });
  }

  /** Returns the path of a file that is removed with the laboratory. */
  file(name: string): string {
    return this.#lab.file('', name);
  }

  keys({ index }: LabNode): string {
    return join(this.#lab.directory, `keys${index}`);
  }

  /** Adds blocks of this node, in the cluster and in the routes of all nodes. */
  async addBlocks(index: number, allocations: Readonly<Record<number, number>> = { 2: index }): Promise<void> {
    for (const family of this.families) {
      const cidr = blockOf(index, family);
      await this.plane.apply(ipamBlock(cidr, index, allocations));
      this.#bird.lead(cidr, index);
    }
    await this.#bird.announce(this.nodes.values());
  }

  /**
   * Moves a block to another node, after its pods are gone, in Calico's order: the old node's BIRD
   * withdraws the route, the block is released and claimed, the new node's BIRD announces it. In
   * between there is no such route. An old route on the new owner would send packets for its own
   * block to the old owner, in the clear, because no agent encrypts traffic to its own node's
   * blocks.
   */
  async moveBlocks(of: number, to: number): Promise<void> {
    for (const family of this.families) this.#bird.forget(blockOf(of, family));
    await this.#bird.announce(this.nodes.values());
    for (const family of this.families) await this.plane.apply(ipamBlock(blockOf(of, family), to, { 2: to }));
    await sleep(300);
    for (const family of this.families) this.#bird.lead(blockOf(of, family), to);
    await this.#bird.announce(this.nodes.values());
  }

  /**
   * Adds a pod at the second address of a block, on this node or on another, which then borrows the
   * address.
   */
  async addPod(on: number, block = on, host = 2): Promise<LabPod> {
    const at = this.node(on);
    const cable = `${this.podPrefix}${this.#cables++}`;
    const namespace = await this.#lab.namespace(cable);
    const addresses = this.families.map(family => podAddress(block, family, host));
    const gateways = this.families.map(family => (family === 4 ? `${GATEWAY[4]}/32` : `${GATEWAY[6]}/64`));
    const own = this.families.map((family, i) => `${addresses[i]}/${family === 4 ? 32 : 128}`);
    await this.#lab.cable(at.namespace, cable, gateways, namespace, 'eth0', own);
    for (const [i, family] of this.families.entries()) {
      if (family === 4) await namespace.ip(`route add ${GATEWAY[4]} dev eth0`);
      await run([
        'ip',
        '-n',
        namespace.name,
        `-${family}`,
        'route',
        'add',
        'default',
        'via',
        GATEWAY[family],
        'dev',
        'eth0',
      ]);
      await run(['ip', '-n', at.namespace.name, `-${family}`, 'route', 'replace', own[i]!, 'dev', cable]);
      if (block !== on) this.#bird.lead(own[i]!, on);
    }
    if (block !== on) await this.#bird.announce(this.nodes.values());
    const pod = { namespace, cable, node: at, addresses };
    this.pods.push(pod);
    return pod;
  }

  async removePod(pod: LabPod): Promise<void> {
    for (const address of pod.addresses) {
      await this.talk.leave(address);
      this.#bird.forget(`${address}/${address.includes(':') ? 128 : 32}`);
    }
    await pod.node.namespace.ip(`link del ${pod.cable}`);
    this.pods.splice(this.pods.indexOf(pod), 1);
    await this.#bird.announce(this.nodes.values());
  }

  /**
   * Exchanges traffic with all earlier and later pods, which keep sending to it after it is gone.
   */
  async startTraffic(pod: LabPod): Promise<void> {
    await this.talk.join(pod.namespace, pod.node.index, pod.addresses);
  }

  /** Which node uses each address of a node's blocks. */
  async allocate(index: number, allocations: Readonly<Record<number, number>>): Promise<void> {
    for (const family of this.families) await this.plane.apply(ipamBlock(blockOf(index, family), index, allocations));
  }

  /** Sets the FelixConfiguration of one node. */
  felixOf(of: string, spec: object): Promise<void> {
    return this.plane.apply({ apiVersion: GROUP, kind: 'FelixConfiguration', metadata: { name: `node.${of}` }, spec });
  }

  felix(spec: object, name = 'default'): Promise<unknown> {
    return this.plane.api('PATCH', path('FelixConfiguration', name), { spec });
  }

  async annotations(index: number): Promise<Readonly<Record<string, string>>> {
    const { metadata } = (await this.plane.api('GET', path('Node', nodeName(index)))) as Manifest;
    return (metadata['annotations'] ?? {}) as Record<string, string>;
  }

  async annotate(index: number, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.plane.api('PATCH', `${path('Node', nodeName(index))}/status`, { metadata: { annotations } });
  }

  async keyOf(index: number, family: Family = this.families[0]!): Promise<string | undefined> {
    return (await this.annotations(index))[KEY[family]];
  }

  verify(...more: readonly string[]): Promise<Result> {
    return run([process.execPath, WGTS, 'verify', '--kubeconfig', this.plane.kubeconfig, ...more], { mayFail: true });
  }
}
