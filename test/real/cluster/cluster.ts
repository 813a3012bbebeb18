/**
 * A real Kubernetes cluster on one machine: a control plane, machines with containerd and a kubelet
 * each, pods with the CNI plugin ptp, and Calico's objects as calico-node writes them. What an
 * operator does to it, tests do with kubectl. Everything runs in the network namespace of the
 * calling process (test/support/own-namespace.ts).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { CalicoGroup } from '../../../src/calico/datastore/resource-kinds.ts';
import type { Manifest } from '../../cluster/control-plane.ts';
import { Underlay } from '../../cluster/underlay.ts';
import { onProcessExit, type Result, run, until } from '../../netns/command.ts';
import { HANG_MS } from '../../support/patience.ts';
import { ROOT } from '../../support/repository.ts';
import { block, type CalicoObject, podRange, pool } from './calico.ts';
import { removeGroups } from './control-groups.ts';
import { ControlPlane } from './control-plane.ts';
import { makeAgentImage, makePauseImage } from './images.ts';
import { Machine } from './machine.ts';
import {
  BRIDGE,
  blockOf,
  connect,
  HOST_ADDRESS,
  ip,
  makeBridge,
  nodeAddress,
  nodeName,
  routeBlocks,
} from './network.ts';
import type { Programs } from './programs.ts';

/** The image that the manifests name. */
export const IMAGE = `docker.io/library/wireguard-ts:${(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version}`;

export interface RealClusterOptions {
  readonly programs: Programs;
  /** Definitions of Calico's objects. */
  readonly definitions: readonly Manifest[];
  /** The group in which Calico keeps its objects; by default that of its older versions. */
  readonly group?: CalicoGroup;
  /**
   * A folder for everything, disks included; it is removed at the end. Its name is that of the
   * control groups too.
   */
  readonly folder?: string;
}

export class RealCluster {
  readonly folder: string;
  readonly plane: ControlPlane;
  /** Captures every packet on the underlay from or to a pod's address. */
  readonly clear: Underlay;
  readonly machines = new Map<number, Machine>();
  readonly group: CalicoGroup;
  readonly #programs: Programs;
  readonly #images: readonly string[];
  readonly #forget: () => void;

  private constructor(
    folder: string,
    plane: ControlPlane,
    clear: Underlay,
    programs: Programs,
    images: readonly string[],
    group: CalicoGroup = 'crd.projectcalico.org/v1',
  ) {
    this.group = group;
    this.folder = folder;
    this.plane = plane;
    this.clear = clear;
    this.#programs = programs;
    this.#images = images;
    this.#forget = onProcessExit(() => rmSync(folder, { recursive: true, force: true }));
  }

  /** Starts a control plane with Calico's objects, WireGuard disabled and no nodes. */
  static async start({ programs, definitions, ...more }: RealClusterOptions): Promise<RealCluster> {
    const folder = more.folder ?? mkdtempSync(join(tmpdir(), 'wgts-real-'));
    await makeBridge();
    const plane = new ControlPlane(programs, join(folder, 'plane'), HOST_ADDRESS);
    try {
      const [agent, pause] = await Promise.all([
        makeAgentImage(folder, IMAGE),
        makePauseImage(folder, programs.pause),
        plane.start(),
      ]);
      const clear = await Underlay.watch(BRIDGE, join(folder, 'clear.pcap'), 'ip and net 10.244.0.0/16');
      const cluster = new RealCluster(folder, plane, clear, programs, [agent, pause], more.group);
      await cluster.#addObjects(definitions);
      return cluster;
    } catch (error) {
      await plane.stop();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.clear.stop();
    await Promise.all([...this.machines.values()].map(machine => machine.remove()));
    await this.plane.stop();
    rmSync(this.folder, { recursive: true, force: true });
    await removeGroups(basename(this.folder));
    await run(['ip', 'link', 'del', BRIDGE], { mayFail: true });
    this.#forget();
  }

  /** Adds a machine, and waits until its Node is ready. */
  async addNode(index: number): Promise<Machine> {
    const name = nodeName(index);
    const machine = new Machine({
      name,
      group: basename(this.folder),
      disk: join(this.folder, name),
      kubelet: this.#programs.server('kubelet'),
      kubeconfig: this.plane.kubeletKubeconfig(name),
      authority: this.plane.authorities,
      address: nodeAddress(index),
      podRange: podRange(index),
    });
    mkdirSync(machine.disk, { recursive: true });
    this.machines.set(index, machine);
    await this.#boot(machine, index);
    for (const archive of this.#images) await machine.importImage(archive);
    machine.startKubelet();
    await this.untilNodeReady(index);
    await this.startCalicoNode(index);
    await this.#applyCalico(block(index));
    await this.#routeAll();
    return machine;
  }

  /** Starts a machine again after a power cut: only its disk is as before. */
  async reboot(index: number): Promise<void> {
    const machine = this.machine(index);
    await machine.powerOff();
    await this.#boot(machine, index);
    machine.startKubelet();
    await this.#routeAll();
    await this.untilNodeReady(index);
    await this.startCalicoNode(index);
  }

  /** Removes a machine with its objects, as an administrator does after a drain. */
  async removeNode(index: number): Promise<void> {
    const machine = this.machine(index);
    this.machines.delete(index);
    await this.#routeAll();
    await this.kubectl(['delete', `ipamblocks.${this.group.split('/')[0]}`, blockOf(index).replace(/[./]/g, '-')]);
    // Kubernetes itself would remove them only 40 s later.
    const pods = ['pods', '-A', `--field-selector=spec.nodeName=${nodeName(index)}`];
    await this.kubectl(['delete', ...pods, '--force', '--grace-period=0', '--wait=false']);
    await this.kubectl(['delete', 'node', nodeName(index), '--wait=false']);
    await machine.remove();
    await ip(`link del port${index}`).catch(() => {});
  }

  machine(index: number): Machine {
    const found = this.machines.get(index);
    if (!found) throw new Error(`there is no node ${index}`);
    return found;
  }

  /** Returns the output of kubectl. @throws Error with its error text */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const argv = [this.#programs.kubectl, '--kubeconfig', this.plane.kubeconfig, ...args];
    const options = { timeout: 2 * HANG_MS, cwd: ROOT, env: { HOME: this.folder } };
    return (await run(argv, input === undefined ? options : { ...options, input })).stdout;
  }

  /** Like kubectl(), but blocking. */
  kubectlNow(args: readonly string[]): string {
    const argv = ['--kubeconfig', this.plane.kubeconfig, ...args];
    return execFileSync(this.#programs.kubectl, argv, { encoding: 'utf8', timeout: HANG_MS });
  }

  async apply(...objects: readonly Manifest[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    // The client's own validation refuses the empty slots of an IPAM block; the server accepts
    // them.
    await this.kubectl(['apply', '--validate=false', '-f', '-'], JSON.stringify(list));
  }

  async get<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(['get', '-o', 'json', ...args])) as T;
  }

  /** Runs wgts as the administrator, outside of the nodes. */
  wgts(...args: readonly string[]): Promise<Result> {
    const argv = [
      process.execPath,
      join(ROOT, 'dist/program/wgts.cjs'),
      ...args,
      '--kubeconfig',
      this.plane.kubeconfig,
    ];
    return run(argv, { mayFail: true, timeout: 5 * HANG_MS });
  }

  verify(): Promise<Result> {
    return this.wgts('verify');
  }

  /** Changes Calico's configuration of all nodes, or of one: `node.NAME`. */
  async felix(spec: object, name = 'default'): Promise<void> {
    await this.#applyCalico({ kind: 'FelixConfiguration', metadata: { name }, spec });
  }

  /**
   * Does what calico-node does at each start: writes the node's address and, as Felix on a node
   * whose kernel has no WireGuard, clears the key.
   */
  async startCalicoNode(index: number): Promise<void> {
    const address = `projectcalico.org/IPv4Address=${nodeAddress(index)}/24`;
    const noKey = 'projectcalico.org/WireguardPublicKey-';
    await this.kubectl(['annotate', '--overwrite', 'node', nodeName(index), address, noKey]);
  }

  async untilNodeReady(index: number): Promise<void> {
    const ready = '{.status.conditions[?(@.type=="Ready")].status}';
    const ask = ['get', 'node', nodeName(index), '--ignore-not-found', '-o', `jsonpath=${ready}`];
    const isReady = async () => (await this.kubectl(ask)) === 'True';
    await until(`${nodeName(index)} to be ready`, isReady, undefined, 250).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.machine(index).log('kubelet').slice(-3000)}`);
    });
  }

  #applyCalico(object: CalicoObject): Promise<void> {
    return this.apply({ ...object, apiVersion: this.group } as Manifest);
  }

  async #boot(machine: Machine, index: number): Promise<void> {
    await machine.powerOn();
    await connect(machine, index);
    await machine.startContainerd();
  }

  async #routeAll(): Promise<void> {
    const indices = [...this.machines.keys()];
    await Promise.all([...this.machines].map(([index, machine]) => routeBlocks(machine, index, indices)));
  }

  async #addObjects(definitions: readonly Manifest[]): Promise<void> {
    await this.apply(...definitions);
    await this.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=120s']);
    await this.#applyCalico(pool());
    await this.felix({});
    // Tells pods how to reach the API server without kube-proxy, as with Calico's eBPF data plane.
    const data = { KUBERNETES_SERVICE_HOST: this.plane.address, KUBERNETES_SERVICE_PORT: String(this.plane.port) };
    for (const namespace of ['kube-system', 'calico-system']) {
      if (namespace !== 'kube-system')
        await this.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      const metadata = { name: 'kubernetes-services-endpoint', namespace };
      await this.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
    }
  }
}
