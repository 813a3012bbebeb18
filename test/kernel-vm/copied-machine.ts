/**
 * A virtual machine whose state is saved once and restored several times, as a hypervisor does with
 * snapshots and clones. It runs our program on an initial file system alone, because a machine with
 * a folder of the host cannot be saved. Its tunnel leads to this host, and a recording has what it
 * sent.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { cpio } from '../../scripts/cpio.mjs';
import { modulesFolder, modulesInOrder, readModule } from '../../scripts/kernel-modules.mjs';
import { addonPaths } from '../../src/io/addon-file.ts';
import { type Running, runNow, until } from '../netns/command.ts';
import { ROOT } from '../netns/device.ts';
import type { Lab, Namespace } from '../netns/lab.ts';
import { HANG_MS } from '../support/patience.ts';
import { readPcap } from '../support/pcap.ts';

const MODULES = ['virtio_pci', 'virtio_net', 'tun'];
/** QEMU's own network: this machine's address, and the host's. */
const [GUEST, HOST] = ['10.0.2.15', '10.0.2.2'];
const PROGRAM = 'app/dist/program';
/** An emulated machine may take this long to boot, and to start Node. */
const BOOT_MS = 2 * HANG_MS;

export interface CopiedMachineOptions {
  readonly lab: Lab;
  readonly namespace: Namespace;
  /** The folder of the kernel package (machine.ts). */
  readonly kernel: string;
  readonly privateKey: string;
  readonly peer: string;
  readonly port: number;
  /** The addresses inside the tunnel. */
  readonly inner: { readonly own: string; readonly peer: string };
}

/** What the machine does, in busybox's shell. */
function init(modules: readonly string[], { inner }: CopiedMachineOptions): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
ln -s /run /var/run
mkdir -p /dev/net
for module in ${modules.join(' ')}; do insmod /modules/$module; done
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
exec </dev/null >/dev/ttyS1 2>&1
ip link set lo up
ip addr add ${GUEST}/24 dev eth0
ip link set eth0 up
export LOG_LEVEL=verbose
node /${PROGRAM}/wireguard-ts.cjs -f wg0 &
while [ ! -S /run/wireguard/wg0.sock ]; do sleep 0.2; done
node /${PROGRAM}/wgts.cjs setconf wg0 /wg.conf
ip addr add ${inner.own}/24 dev wg0
ip link set wg0 up
ping -i 0.02 ${inner.peer} >/dev/null &
while :; do echo "received $(cat /sys/class/net/wg0/statistics/rx_packets) packets"; sleep 1; done
`;
}

/** Returns the initial file system: busybox, Node and its libraries, the program, modules. */
function image(options: CopiedMachineOptions): Buffer {
  const { kernel, privateKey, peer, port } = options;
  const modules = modulesInOrder(modulesFolder(kernel), MODULES).map(path => ({
    name: `modules/${basename(path, '.xz')}`,
    data: readModule(path),
  }));
  const libraries = runNow(['ldd', process.execPath])
    .split('\n')
    .flatMap(line => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  const addon = addonPaths().at(-1)!;
  const files = [
    ...modules,
    { name: 'bin/busybox', data: readFileSync(runNow(['which', 'busybox']).trim()) },
    { name: 'bin/node', data: readFileSync(process.execPath) },
    ...libraries.map(path => ({ name: path.replace(/^\/usr\/lib/, '/lib').slice(1), data: readFileSync(path) })),
    ...readdirSync(join(ROOT, 'dist/program')).map(name => ({
      name: `${PROGRAM}/${name}`,
      data: readFileSync(join(ROOT, 'dist/program', name)),
    })),
    { name: 'app/package.json', data: readFileSync(join(ROOT, 'package.json')) },
    { name: `app/native/prebuilt/${basename(addon)}`, data: readFileSync(addon) },
    {
      name: 'init',
      data: init(
        modules.map(({ name }) => basename(name)),
        options,
      ),
    },
    {
      name: 'wg.conf',
      data: `[Interface]\nPrivateKey=${privateKey}\n[Peer]\nPublicKey=${peer}\nAllowedIPs=0.0.0.0/0\nEndpoint=${HOST}:${port}\n`,
    },
  ];
  const folders = new Set(['dev', 'proc', 'sys', 'run', 'var', 'tmp']);
  for (const { name } of files)
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) folders.add(name.slice(0, at));
  return cpio([
    ...[...folders].map(name => ({ name, mode: 0o040755 })),
    ...files.map(file => ({ ...file, mode: 0o100755 })),
  ]);
}

export class CopiedMachine {
  readonly #options: CopiedMachineOptions;
  readonly #directory: string;
  #runs = 0;

  constructor(options: CopiedMachineOptions) {
    this.#options = options;
    this.#directory = options.lab.directory;
    writeFileSync(join(this.#directory, 'image'), image(options));
  }

  /** Boots the machine. @param generation a UUID, which the kernel sees through vmgenid */
  boot(generation: string): MachineRun {
    return this.#start(generation, []);
  }

  /** Restores what save() has written. */
  restore(generation: string): MachineRun {
    return this.#start(generation, ['-incoming', `exec:cat ${join(this.#directory, 'state')}`]);
  }

  #start(generation: string, more: readonly string[]): MachineRun {
    const { kernel, namespace } = this.#options;
    const path = join(this.#directory, `run-${this.#runs++}`);
    const vmlinuz = readdirSync(join(kernel, 'boot')).find(file => file.startsWith('vmlinuz-'))!;
    const process = namespace.start([
      ...['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '768'],
      ...['-nodefaults', '-display', 'none', '-no-reboot'],
      ...['-kernel', join(kernel, 'boot', vmlinuz), '-initrd', join(this.#directory, 'image')],
      ...['-append', 'console=ttyS0 panic=-1 random.trust_cpu=on'],
      ...['-serial', `file:${path}.console`, '-serial', `file:${path}.output`],
      ...['-monitor', `unix:${path}.monitor,server,nowait`, '-device', `vmgenid,guid=${generation}`],
      ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net'],
      ...['-object', `filter-dump,id=dump,netdev=net,file=${path}.pcap`],
      ...more,
    ]);
    return new MachineRun(process, path, join(this.#directory, 'state'));
  }
}

/** One life of the machine. */
export class MachineRun {
  readonly #process: Running;
  readonly #path: string;
  readonly #state: string;

  constructor(process: Running, path: string, state: string) {
    this.#process = process;
    this.#path = path;
    this.#state = state;
  }

  /** What the machine printed. */
  get output(): string {
    return existsSync(`${this.#path}.output`) ? readFileSync(`${this.#path}.output`, 'latin1') : '';
  }

  /** Returns the transport messages that the machine sent, as hex, by receiver and counter. */
  get sealed(): Map<string, string> {
    const found = new Map<string, string>();
    if (!existsSync(`${this.#path}.pcap`)) return found;
    for (const { source, payload } of readPcap(`${this.#path}.pcap`))
      if (source.startsWith(`${GUEST}:`) && payload[0] === 4) {
        const hex = Buffer.from(payload).toString('hex');
        found.set(hex.slice(8, 32), hex);
      }
    return found;
  }

  /** Waits until the machine has done something. @throws Error with its last words */
  async until(what: string, condition: () => boolean): Promise<void> {
    const ended = () => this.#process.result() !== undefined;
    try {
      await until(what, () => condition() || ended(), BOOT_MS, 200);
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${this.#lastWords}`);
    }
    if (!condition()) throw new Error(`the machine ended before this: ${what}: ${this.#lastWords}`);
  }

  /** Writes the whole state, after which the machine stands still. */
  async save(): Promise<void> {
    await this.#command(`migrate "exec:cat > ${this.#state}"`);
    await until('the state', async () => /status: completed/.test(await this.#command('info migrate')), BOOT_MS, 200);
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGKILL');
  }

  get #lastWords(): string {
    const console_ = existsSync(`${this.#path}.console`) ? readFileSync(`${this.#path}.console`, 'latin1') : '';
    return `${this.#process.output()}\n${console_.slice(-1000)}\n${this.output.slice(-2000)}`;
  }

  /** Returns what QEMU's monitor answers to a command. */
  async #command(line: string): Promise<string> {
    const socket = connect(`${this.#path}.monitor`);
    let text = '';
    socket.setEncoding('latin1').on('data', more => {
      text += more;
    });
    try {
      const prompts = () => text.split('(qemu) ').length - 1;
      await until('the monitor', () => prompts() === 1);
      socket.write(`${line}\n`);
      // the line is echoed before the answer, and a prompt follows
      await until(`an answer to ${line}`, () => prompts() === 2, BOOT_MS);
      return text;
    } finally {
      socket.destroy();
    }
  }
}
