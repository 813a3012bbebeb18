/**
 * The filter of system calls of a running device, as a program: what it allows and refuses on this
 * architecture. `npm run test:arm64` asks the one of arm64, where no emulator has seccomp.
 * test/io/sandboxed.test.ts asks the kernel.
 */
import { describe, expect, test } from 'vitest';
import { sandboxProgram } from '../../src/io/sandbox.ts';
import { AUDIT_ARCH, runFilter, type Verdict } from '../support/filter-program.ts';
import { numberOf, SYSTEM_CALLS, type SystemCall } from '../support/system-calls.ts';

const EPERM = 'errno 1';
const ENOSYS = 'errno 38';
const OPTIONS = { netns: false, log: false, ring: false };
const PROGRAM = sandboxProgram(OPTIONS);

const ask = (name: SystemCall, args: readonly (number | bigint)[] = [], program = PROGRAM): Verdict =>
  runFilter(program, { architecture: AUDIT_ARCH, number: numberOf(name), args });

const [THREAD, SIGCHLD, NEWNET, NEWUSER] = [0x3d0f00, 17, 0x40000000, 0x10000000];
const [UNIX, INET, INET6, NETLINK, PACKET, VSOCK] = [1, 2, 10, 16, 17, 40];
const [STREAM, DGRAM, RAW, CLOEXEC] = [1, 2, 3, 0o2000000];

describe('the filter of system calls', () => {
  const ALLOWED = [
    'read',
    'write',
    'mmap',
    'recvmmsg',
    'sendmmsg',
    'epoll_pwait',
    'futex',
    'bind',
    'connect',
    'setsockopt',
    'unlinkat',
    'getrandom',
  ] as const;
  test.each(ALLOWED)('allows %s', name => {
    expect(ask(name)).toBe('allow');
  });

  const REFUSED = [
    ...([
      'execve',
      'execveat',
      'fork',
      'vfork',
      'ptrace',
      'process_vm_readv',
      'process_vm_writev',
      'pidfd_getfd',
    ] as const),
    ...(['bpf', 'perf_event_open', 'userfaultfd', 'keyctl', 'seccomp', 'io_uring_setup', 'io_uring_enter'] as const),
    ...(['mount', 'unshare', 'setns', 'swapon', 'reboot', 'sethostname', 'init_module', 'finit_module'] as const),
    ...(['kexec_load', 'kexec_file_load', 'open_by_handle_at', 'mknod', 'mknodat', 'chown', 'fchownat'] as const),
    ...(['setuid', 'capset', 'memfd_create', 'socketpair', 'rt_tgsigqueueinfo'] as const),
    ...(['pidfd_open', 'mount_setattr', 'open_tree_attr', 'file_setattr'] as const),
  ];
  test.each(REFUSED)('refuses %s with EPERM', name => {
    if (numberOf(name) >= 0) expect(ask(name)).toBe(EPERM);
    else expect(process.arch).toBe('arm64');
  });

  test('reports calls as missing that a newer library tries first, so that it uses older ones', () => {
    for (const name of ['clone3', 'openat2', 'fchmodat2', 'mseal', 'future'] as const) expect(ask(name)).toBe(ENOSYS);
  });

  test.each([
    ['a thread', 'allow', 'clone', [THREAD]],
    ['a thread, with bits above 32 that the kernel ignores', 'allow', 'clone', [0x1_0000_0000n | BigInt(THREAD)]],
    ['a process', EPERM, 'clone', [SIGCHLD]],
    ['vfork by clone', EPERM, 'clone', [0x4100 | SIGCHLD]],
    ['a thread in a user namespace', EPERM, 'clone', [THREAD | NEWUSER]],
    ['a Unix socket', 'allow', 'socket', [UNIX, STREAM]],
    ['a netlink socket', 'allow', 'socket', [NETLINK, RAW | CLOEXEC]],
    ['a UDP socket', 'allow', 'socket', [INET, DGRAM | CLOEXEC]],
    ['a UDP socket for IPv6', 'allow', 'socket', [INET6, DGRAM | CLOEXEC]],
    ['a TCP socket', EPERM, 'socket', [INET, STREAM]],
    ['a TCP socket for IPv6', EPERM, 'socket', [INET6, STREAM | CLOEXEC]],
    ['a raw socket', EPERM, 'socket', [INET, RAW]],
    ['a packet socket', EPERM, 'socket', [PACKET, DGRAM]],
    ['a socket of another family', EPERM, 'socket', [VSOCK, STREAM]],
    ['TUNGETIFF', 'allow', 'ioctl', [5, 0x800454d2]],
    ['SIOCGIFMTU', 'allow', 'ioctl', [5, 0x8921]],
    ['TUNSETIFF', EPERM, 'ioctl', [5, 0x400454ca]],
    ['TIOCSTI', EPERM, 'ioctl', [0, 0x5412]],
    ['TIOCSTI with bits above 32', EPERM, 'ioctl', [0, 0x1_0000_5412n]],
    ['a thread name', 'allow', 'prctl', [15]],
    ['PR_SET_DUMPABLE', EPERM, 'prctl', [4, 1]],
    ['PR_SET_SECUREBITS', EPERM, 'prctl', [28, 0]],
    ['a signal for itself', 'allow', 'tgkill', [process.pid, process.pid, 6]],
    ['a signal for another process', EPERM, 'tgkill', [process.pid + 1, process.pid + 1, 6]],
    ['a signal for all', EPERM, 'kill', [-1, 9]],
    ['reading a limit', 'allow', 'prlimit64', [0, 7, 0, 0x7fff_0000_0000n]],
    ['setting a limit', EPERM, 'prlimit64', [0, 4, 0x7fff_0000_0000n, 0]],
    ['another process’s limit', EPERM, 'prlimit64', [1, 7, 0, 0x7fff_0000_0000n]],
    ['a file', 'allow', 'openat', [-100, 0, 0o102101, 0o600]],
    ['a set-user-ID file', EPERM, 'openat', [-100, 0, 0o102101, 0o4755]],
    ['a folder', 'allow', 'mkdirat', [-100, 0, 0o755]],
    ['a set-group-ID folder', EPERM, 'mkdirat', [-100, 0, 0o2755]],
    ['a mode', 'allow', 'fchmodat', [-100, 0, 0o600]],
    ['a set-user-ID mode', EPERM, 'fchmodat', [-100, 0, 0o4755]],
    ['a set-user-ID mode of a descriptor', EPERM, 'fchmod', [3, 0o4755]],
  ] as const)('%s: %s', (_, verdict, name, args) => {
    expect(ask(name, args)).toBe(verdict);
  });

  test('setns is allowed for network namespaces, and only with the option', () => {
    const program = sandboxProgram({ ...OPTIONS, netns: true });
    expect(ask('setns', [5, NEWNET])).toBe(EPERM);
    expect(ask('setns', [5, NEWNET], program)).toBe('allow');
    for (const kind of [0, NEWUSER, 0x20000]) expect(ask('setns', [5, kind], program)).toBe(EPERM);
  });

  test('a ring that libuv has may be entered, but never made', () => {
    const program = sandboxProgram({ ...OPTIONS, ring: true });
    expect(ask('io_uring_enter', [], program)).toBe('allow');
    expect(ask('io_uring_setup', [], program)).toBe(EPERM);
  });

  test('calls of another architecture, and of x32, end the process', () => {
    const number = numberOf('read');
    for (const architecture of [0x40000003, 0x40000028, AUDIT_ARCH === 0xc000003e ? 0xc00000b7 : 0xc000003e])
      expect(runFilter(PROGRAM, { architecture, number })).toBe('kill');
    if (process.arch === 'x64')
      for (const x32 of [0x40000000, 0x40000000 + number, 0x40000209, 0xffffffff])
        expect(runFilter(PROGRAM, { architecture: AUDIT_ARCH, number: x32 })).toBe('kill');
    else expect(runFilter(PROGRAM, { architecture: AUDIT_ARCH, number: 0xffffffff })).toBe(ENOSYS);
  });

  test('every number has a verdict, most are refused, and the tables of this test are asked in full', () => {
    const verdicts = Array.from({ length: 600 }, (_, number) =>
      runFilter(PROGRAM, { architecture: AUDIT_ARCH, number }),
    );
    const refused = verdicts.slice(0, 470).filter(verdict => verdict === EPERM).length;
    expect(refused).toBeGreaterThan(200);
    expect(new Set(verdicts)).toEqual(new Set(['allow', EPERM, ENOSYS]));
    for (const name of SYSTEM_CALLS) if (numberOf(name) >= 0) expect(ask(name)).not.toBe('kill');
  });
});
