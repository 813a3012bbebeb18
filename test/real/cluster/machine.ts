/**
 * One machine of the real cluster: namespaces for its network, mounts, processes and name, a disk
 * that is a folder, and inside them containerd and a kubelet. When its first process ends,
 * everything ends with it, as if the power were cut: only the disk is kept.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Result, type Running, type RunOptions, run, start, until } from '../../netns/command.ts';
import { ROOT } from '../../support/repository.ts';
import { ControlGroups } from './control-groups.ts';
import { CONTAINERD_SOCKET, containerdConfiguration, kubeletConfiguration } from './node-configuration.ts';
import { Server } from './server.ts';

/** The CNI plugins of Debian's package. */
const HOST_PLUGINS = '/usr/lib/cni';
/**
 * Mounts the machine's own /run, /proc, /sys, /var/lib and /var/log, then waits for its end.
 * Orphans become children of this shell, which reaps them.
 */
const FIRST_PROCESS = `set -e
disk=$1
mount -t proc proc /proc
mount --rbind "$disk/lib" /var/lib
mount --rbind "$disk/log" /var/log
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/groups /run/wireguard
mount --rbind /sys/fs/cgroup /run/groups
mount -t sysfs sysfs /sys
mount --rbind /run/groups /sys/fs/cgroup
umount -l /run/groups
ip link set lo up
echo mounted
sleep infinity &
wait $!`;

export interface MachineOptions {
  readonly name: string;
  /** The control group of all machines of the cluster. */
  readonly group: string;
  /** A folder for the disk. Removed with the machine. */
  readonly disk: string;
  /** The kubelet's program. */
  readonly kubelet: string;
  readonly kubeconfig: string;
  /** The authority of clients that may use the kubelet. */
  readonly authority: string;
  /** The machine's address among the nodes. */
  readonly address: string;
  /** The range of addresses from which the CNI plugin serves pods. */
  readonly podRange: PodRange;
}

export interface PodRange {
  readonly subnet: string;
  readonly first: string;
  readonly last: string;
  readonly gateway: string;
}

export class Machine {
  readonly name: string;
  readonly disk: string;
  readonly options: MachineOptions;
  readonly #groups: ControlGroups;
  #first: Running | undefined;
  #pid = 0;

  constructor(options: MachineOptions) {
    this.options = options;
    this.name = options.name;
    this.disk = options.disk;
    this.#groups = new ControlGroups(`${options.group}/${options.name}`);
  }

  /** The first process, as seen from outside. */
  get pid(): number {
    return this.#pid;
  }

  /** Creates the namespaces. The network has only its loopback interface. */
  async powerOn(): Promise<void> {
    for (const folder of ['lib/cni/net.d', 'lib/kubelet', 'log/pods', 'log/containers'])
      mkdirSync(join(this.disk, folder), { recursive: true });
    this.#groups.create();
    const kinds = ['--net', '--mount', '--pid', '--uts', '--ipc', '--propagation', 'private'];
    const shell = ['sh', '-c', FIRST_PROCESS, 'machine', this.disk];
    const first = start(['unshare', ...kinds, '--fork', '--kill-child', '--', ...shell]);
    this.#first = first;
    await until(`the mounts of ${this.name}`, () => {
      if (first.result()) throw new Error(`${this.name} did not start: ${first.output()}`);
      return first.output().includes('mounted');
    });
    const children = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8');
    this.#pid = Number(children.split(' ')[0]);
    await this.run(['hostname', this.name]);
  }

  /** Starts containerd, and waits until it answers. */
  async startContainerd(): Promise<void> {
    const { podRange } = this.options;
    writeFileSync(join(this.disk, 'lib/cni/net.d/10-pods.conflist'), JSON.stringify(cniConfiguration(podRange)));
    this.#installPlugins();
    writeFileSync(join(this.disk, 'lib/containerd.toml'), containerdConfiguration());
    this.#serve('containerd', 'containerd', ['--config', '/var/lib/containerd.toml']);
    await until(`containerd of ${this.name}`, async () => (await this.ctr(['version'])).code === 0, undefined, 100);
  }

  startKubelet(): void {
    const configuration = kubeletConfiguration(this.options.authority, this.#groups.path);
    writeFileSync(join(this.disk, 'lib/kubelet/config.json'), JSON.stringify(configuration));
    this.#serve('kubelet', this.options.kubelet, [
      '--config=/var/lib/kubelet/config.json',
      `--kubeconfig=${this.options.kubeconfig}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.options.address}`,
      '--v=1',
    ]);
  }

  /** Ends every process of the machine at once. Only its disk is kept. */
  async powerOff(): Promise<void> {
    if (this.#pid > 1) process.kill(this.#pid, 'SIGKILL');
    await this.#first?.exited;
    this.#first = undefined;
    await this.#groups.remove();
  }

  async remove(): Promise<void> {
    if (this.#first) await this.powerOff();
    rmSync(this.disk, { recursive: true, force: true });
  }

  /** Returns the command line that runs `argv` on the machine. */
  inside(argv: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.#pid), '-n', '-m', '-p', '-u', '-i', '--', ...argv];
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Result> {
    return run(this.inside(argv), options);
  }

  /** Runs `ip` commands, one a line, without the word `ip`. */
  async ip(...lines: readonly string[]): Promise<void> {
    await this.run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Runs containerd's client. */
  ctr(args: readonly string[]): Promise<Result> {
    return this.run(['ctr', '-n', 'k8s.io', '-a', CONTAINERD_SOCKET, ...args], { mayFail: true, timeout: 300_000 });
  }

  /** Imports an OCI archive of the host. */
  async importImage(archive: string): Promise<void> {
    const { code, stdout, stderr } = await this.ctr(['images', 'import', archive]);
    if (code !== 0) throw new Error(`${this.name} cannot import ${archive}: ${stdout}${stderr}`);
  }

  /** Returns the folder of a container's control group. @param controller such as memory */
  controlGroupOf(controller: string, containerId: string): string {
    return this.#groups.find(controller, containerId);
  }

  /** @param name containerd or kubelet */
  log(name: string): string {
    return readFileSync(join(this.disk, `log/${name}.log`), 'utf8');
  }

  /** Ends the kubelet and starts it again. Pods go on. */
  async restartKubelet(): Promise<void> {
    await this.run(['sh', '-c', 'kill "$(cat /run/kubelet.pid)"']);
    await until(`the end of the kubelet of ${this.name}`, async () => {
      const { code } = await this.run(['sh', '-c', 'kill -0 "$(cat /run/kubelet.pid)"'], { mayFail: true });
      return code !== 0;
    });
    this.startKubelet();
  }

  /** Puts the CNI plugins into one folder: those of the host, and ours. */
  #installPlugins(): void {
    const folder = join(this.disk, 'lib/cni/bin');
    mkdirSync(folder, { recursive: true });
    for (const name of ['ptp', 'host-local', 'loopback'])
      if (!existsSync(join(folder, name))) symlinkSync(join(HOST_PLUGINS, name), join(folder, name));
    const script = join(ROOT, 'test/real/cluster/workload-interface.mjs');
    const run = `#!/bin/sh\nexec '${process.execPath}' '${script}'\n`;
    writeFileSync(join(folder, 'workload-interface'), run, { mode: 0o755 });
  }

  #serve(name: string, program: string, args: readonly string[]): void {
    // The machine has the host's /tmp, but not every folder of this process.
    const withPid = ['env', '-u', 'TMPDIR', 'sh', '-c', `echo $$ >/run/${name}.pid; exec "$@"`, name];
    new Server(name, program, `/var/log/${name}.log`, args, this.inside(withPid)).start();
  }
}

/**
 * The configuration of the CNI plugins: `ptp` with addresses of the node's own block, then the one
 * that makes the interface Calico's.
 */
function cniConfiguration({ subnet, first, last, gateway }: PodRange): object {
  const ranges = [[{ subnet, rangeStart: first, rangeEnd: last, gateway }]];
  const ipam = { type: 'host-local', ranges, routes: [{ dst: '0.0.0.0/0' }] };
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [{ type: 'ptp', mtu: 1440, ipam }, { type: 'workload-interface' }],
  };
}
