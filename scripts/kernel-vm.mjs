#!/usr/bin/env node
// Runs a Linux kernel with the real WireGuard module, for machines that lack the module. QEMU
// emulates the machine, so it needs no /dev/kvm. It boots a Debian kernel in a few seconds on top
// of this machine's own file system, which is read-only with a writable layer in memory.
//
// - `kernel-vm.mjs fetch` finds or downloads the kernel (apt-get download, unpacked and never
//   installed) and prints its folder.
// - `kernel-vm.mjs run PROGRAM ARG...` runs a program of this machine as root in the virtual
//   machine, and passes on its output and exit status.
//
// Environment: KERNEL_VM_DIR (an unpacked linux-image package), KERNEL_VM_CPUS (2),
// KERNEL_VM_MEMORY in MiB (1536), KERNEL_VM_TIMEOUT in seconds (1500), KERNEL_VM_ACCEL (tcg),
// KERNEL_VM_CONSOLE (a file for the kernel's own messages).
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CACHE } from './addon/cache.mjs';
import { cpio } from './cpio.mjs';
import { modulesFolder, modulesInOrder, readModule } from './kernel-modules.mjs';
import { lock } from './lock.mjs';

const MODULES = [
  'crc32c_generic virtio_pci 9pnet_virtio 9p overlay',
  'wireguard tun veth dummy bridge sch_netem',
  'nf_conntrack nft_chain_nat nft_masq nft_ct nft_fib_ipv4 nft_fib_ipv6 nft_compat xt_MASQUERADE xt_conntrack xt_mark',
].flatMap(line => line.split(' '));
const STATUS = 'kernel-vm: status ';

// The program's output goes to the second serial port; the kernel's messages go to the first.
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /lower
mount -t tmpfs none /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work none /new
for folder in proc sys dev; do mount --move /$folder /new/$folder; done
mount -t tmpfs none /new/run
cd /new/dev && ln -sf /proc/self/fd fd && ln -sf fd/0 stdin && ln -sf fd/1 stdout && ln -sf fd/2 stderr
cp /launch /new/run/launch
ifconfig lo up
stty -F ttyS1 raw -echo
chroot /new /run/launch </new/dev/null >ttyS1 2>&1
printf '\n${STATUS}%s\n' $? >ttyS1
sync
poweroff -f
`;

const [command, ...argv] = process.argv.slice(2);
if (command === 'fetch') console.log(await fetchKernel());
else if (command === 'run' && argv.length > 0) process.exitCode = await boot(await fetchKernel(), argv);
else fail('usage: kernel-vm.mjs fetch | run PROGRAM [ARGUMENT...]');

/**
 * Returns the folder of an unpacked kernel package, which contains boot/vmlinuz-* and lib/modules.
 */
async function fetchKernel() {
  const given = process.env.KERNEL_VM_DIR;
  if (given !== undefined) return given;
  const folder = join(CACHE, 'kernel');
  if (existsSync(join(folder, 'complete'))) return folder;
  // On a new machine, two test files need the kernel at the same time.
  const unlock = await lock(CACHE);
  try {
    if (!existsSync(join(folder, 'complete'))) download(folder);
    return folder;
  } finally {
    await unlock();
  }
}

function download(folder) {
  if (process.arch !== 'x64')
    fail('only x86-64 is supported; on other machines set KERNEL_VM_DIR to an unpacked kernel package');
  const work = mkdtempSync(join(tmpdir(), 'kernel-vm-'));
  try {
    const depends = execFileSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' });
    const name = /Depends: (linux-image-\d\S*)/.exec(depends)?.[1];
    if (name === undefined) fail('apt knows no kernel package; run: apt-get update');
    execFileSync('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', name], {
      cwd: work,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const unpacked = join(work, 'unpacked');
    execFileSync('dpkg-deb', ['-x', readdirSync(work).find(file => file.endsWith('.deb')), unpacked], { cwd: work });
    rmSync(join(unpacked, 'usr/share'), { recursive: true, force: true });
    for (const version of readdirSync(join(unpacked, 'lib/modules'))) execFileSync('depmod', ['-b', unpacked, version]);
    writeFileSync(join(unpacked, 'complete'), `${name}\n`);
    // Copy into the target's file system first, so that the folder appears complete or not at all.
    const copy = `${folder}.new`;
    for (const old of [copy, folder]) rmSync(old, { recursive: true, force: true });
    execFileSync('cp', ['-a', unpacked, copy]);
    renameSync(copy, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Boots the machine and runs a command line in it. @returns its exit status, or 99 if the machine
 * itself failed
 */
async function boot(kernel, commandLine) {
  const work = mkdtempSync(join(tmpdir(), 'kernel-vm-'));
  const console_ = process.env.KERNEL_VM_CONSOLE ?? join(work, 'console');
  const cleanUp = () => rmSync(work, { recursive: true, force: true });
  process.once('exit', cleanUp);
  const image = join(work, 'initramfs');
  writeFileSync(
    image,
    Buffer.concat([baseImage(kernel), cpio([{ name: 'launch', mode: 0o100755, data: launcher(commandLine) }])]),
  );
  const vmlinuz = readdirSync(join(kernel, 'boot')).find(file => file.startsWith('vmlinuz-'));
  const args = [
    ['-accel', process.env.KERNEL_VM_ACCEL ?? 'tcg,thread=multi', '-cpu', 'max'],
    ['-smp', process.env.KERNEL_VM_CPUS ?? '2', '-m', process.env.KERNEL_VM_MEMORY ?? '1536'],
    ['-nodefaults', '-display', 'none', '-monitor', 'none', '-no-reboot'],
    ['-kernel', join(kernel, 'boot', vmlinuz), '-initrd', image],
    ['-append', 'console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on'],
    ['-serial', `file:${console_}`, '-serial', 'stdio'],
    ['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
  ].flat();
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => qemu.kill('SIGKILL'), Number(process.env.KERNEL_VM_TIMEOUT ?? 1500) * 1000);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => qemu.kill('SIGKILL'));
  process.once('exit', () => qemu.kill('SIGKILL'));
  let complaint = '';
  qemu.stderr.setEncoding('utf8').on('data', text => {
    complaint += text;
  });
  let status;
  let line = '';
  qemu.stdout.setEncoding('utf8').on('data', text => {
    const lines = (line + text).split('\n');
    line = lines.pop();
    for (const each of lines) {
      if (each.startsWith(STATUS)) status = Number(each.slice(STATUS.length));
      else process.stdout.write(`${each}\n`);
    }
  });
  return new Promise(resolve => {
    qemu.once('error', error => fail(`qemu-system-x86_64: ${error.message}; apt-get install qemu-system-x86`));
    qemu.once('close', (code, signal) => {
      clearTimeout(timer);
      if (status === undefined) {
        const log = existsSync(console_) ? readFileSync(console_, 'latin1').slice(-4000) : '';
        console.error(`kernel-vm: the machine ended (${code ?? signal}) before the program did\n${complaint}${log}`);
      }
      cleanUp();
      resolve(status ?? 99);
    });
  });
}

/**
 * Returns the script that runs the program in the machine, with this process's working directory
 * and PATH.
 */
function launcher(commandLine) {
  const quote = word => `'${word.replaceAll("'", "'\\''")}'`;
  return `#!/bin/sh
export PATH=${quote(process.env.PATH)} HOME=/root TMPDIR=/tmp IN_KERNEL_VM=1
cd ${quote(process.cwd())} && exec ${commandLine.map(quote).join(' ')}
`;
}

/**
 * Returns the compressed initial file system: busybox, the modules in load order, and init. The
 * result is cached.
 */
function baseImage(kernel) {
  const folder = modulesFolder(kernel);
  const key = createHash('sha256')
    .update([basename(folder), ...MODULES, INIT].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const kept = join(CACHE, `initramfs-${key}`);
  if (existsSync(kept)) return readFileSync(kept);
  const busybox = (process.env.PATH ?? '')
    .split(':')
    .concat('/bin', '/usr/bin')
    .map(path => join(path, 'busybox'))
    .find(existsSync);
  if (busybox === undefined) fail('busybox is missing; apt-get install busybox-static');
  const files = modulesInOrder(folder, MODULES).map(path => ({
    name: `modules/${basename(path, '.xz')}`,
    data: readModule(path),
  }));
  const order = files.map(({ name }) => basename(name)).join('\n');
  const image = cpio([
    ...['bin', 'dev', 'proc', 'sys', 'modules', 'lower', 'memory', 'new'].map(name => ({ name, mode: 0o040755 })),
    { name: 'bin/busybox', mode: 0o100755, data: readFileSync(busybox) },
    { name: 'init', mode: 0o100755, data: INIT },
    ...files.map(file => ({ ...file, mode: 0o100644 })),
    { name: 'modules/order', mode: 0o100644, data: `${order}\n` },
  ]);
  const packed = gzipSync(image, { level: 1 });
  // The next segment of the initial file system must start at a multiple of four.
  const padded = Buffer.concat([packed, Buffer.alloc(-packed.length & 3)]);
  mkdirSync(CACHE, { recursive: true });
  const part = mkdtempSync(`${kept}.`);
  writeFileSync(join(part, 'image'), padded);
  renameSync(join(part, 'image'), kept);
  rmSync(part, { recursive: true });
  return padded;
}

function fail(message) {
  console.error(`kernel-vm: ${message}`);
  process.exit(2);
}
