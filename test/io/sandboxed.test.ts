/**
 * The confinement of a device's process, by the real kernel: a small program confines itself as a
 * device does, and then tries what an attacker in it would try. test/contract/sandbox.test.ts asks
 * the filter about more calls, and for arm64.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../netns/needs.ts';
import { HANG_MS } from '../support/patience.ts';
import { numberOf } from '../support/system-calls.ts';

type Call = readonly (number | string)[];
interface Outcome {
  readonly results: readonly number[];
  readonly spawned: string | number;
  readonly works: unknown;
  /** One text for all threads that have the same. */
  readonly status: readonly string[];
  readonly logged: readonly string[];
  /** The code with which giving up more was refused. */
  readonly again: string;
}

const CC = process.env['CC'] ?? 'cc';
const PROGRAM = fileURLToPath(new URL('sandboxed.mjs', import.meta.url));
const [EPERM, ENOSYS] = [-1, -38];
const WORKS = { file: true, crypto: 32, compiles: true, worker: 64 };
/** CAP_NET_BIND_SERVICE and CAP_NET_ADMIN. */
const CONFINED = /^CapInh 0+ CapPrm (0+1400) CapEff \1 CapBnd \1 CapAmb 0+ NoNewPrivs 1 Seccomp 2$/;

/** SECCOMP_FILTER_FLAG_LOG and _SPEC_ALLOW (linux/seccomp.h); the one for all threads is 1. */
const [LOG, SPEC_ALLOW] = [2, 4];
/** Prints the flags of seccomp(2), and refuses those in UNKNOWN_FLAGS as an older kernel does. */
const FLAGS = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
long syscall(long number, ...) {
  static long (*real)(long, ...);
  __builtin_va_list list;
  long a[6];
  __builtin_va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = __builtin_va_arg(list, long);
  __builtin_va_end(list);
  if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  if (number == SYS_seccomp && a[0] == 1) {
    dprintf(2, "flags %ld\\n", a[1] & 0xffffffff);
    if (a[1] & atoi(getenv("UNKNOWN_FLAGS"))) {
      errno = EINVAL;
      return -1;
    }
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
`;

/** What an attacker would try. Free of the filter, root may do most of it. */
const ATTACKS: Readonly<Record<string, Call>> = {
  'starting a program': [numberOf('execve'), '/bin/true', 0, 0],
  'starting a program by descriptor': [numberOf('execveat'), -1, '/bin/true', 0, 0, 0],
  ptrace: [numberOf('ptrace'), 0, 0, 0, 0],
  'reading another process': [numberOf('process_vm_readv'), process.ppid, 0, 0, 0, 0, 0],
  'taking another process’s descriptor': [numberOf('pidfd_getfd'), -1, 0, 0],
  bpf: [numberOf('bpf'), 0, 0, 0],
  mount: [numberOf('mount'), 'none', '/', 'tmpfs', 0, 0],
  'a new mount namespace': [numberOf('unshare'), 0x20000],
  'a new user namespace': [numberOf('unshare'), 0x10000000],
  'another namespace': [numberOf('setns'), -1, 0],
  'a packet socket': [numberOf('socket'), 17, 3, 0],
  'a raw socket': [numberOf('socket'), 2, 3, 255],
  'a TCP socket': [numberOf('socket'), 2, 1, 0],
  keyctl: [numberOf('keyctl'), 0, -3, 0, 0, 0],
  'another kernel': [numberOf('kexec_load'), 0, 0, 0, 0],
  'a kernel module': [numberOf('finit_module'), -1, '', 0],
  'a device file': [numberOf('mknodat'), -100, '/nowhere/mem', 0o20600, 257],
  'capabilities again': [numberOf('capset'), 0, 0],
  'core dumps again': [numberOf('prctl'), 4, 1, 0, 0, 0],
  'another filter': [numberOf('seccomp'), 1, 0, 0],
  'a ring': [numberOf('io_uring_setup'), 0, 0],
  'a process': [numberOf('clone'), 17, 0, 0, 0, 0],
  'a signal for init': [numberOf('kill'), 1, 0],
};

describeWith(['root', 'addon', 'cc'], 'a confined process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-sandboxed-'));
  const addon = join(folder, 'raw-call.node');
  beforeAll(() => {
    const headers = (createRequire(import.meta.url)('node-api-headers') as { include_dir: string }).include_dir;
    const source = fileURLToPath(new URL('raw-call.c', import.meta.url));
    execFileSync(CC, ['-shared', '-fPIC', `-I${headers}`, source, '-o', addon]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const start = (how: 'confined' | 'verbose' | 'twice' | 'free', calls: readonly Call[], env = {}) =>
    spawnSync(process.execPath, [PROGRAM, addon, how, JSON.stringify(calls)], {
      encoding: 'utf8',
      timeout: HANG_MS,
      env: { ...process.env, ...env },
    });
  const run = (how: 'confined' | 'twice' | 'free', calls: readonly Call[] = []): Outcome => {
    const { status, signal, stdout, stderr } = start(how, calls);
    if (status !== 0) throw new Error(`ended with ${status ?? signal}\n${stdout}${stderr}`);
    return JSON.parse(stdout) as Outcome;
  };

  test('cannot do what an attacker needs, and every thread has given up its rights', () => {
    const { results, spawned, works, status, logged } = run('confined', Object.values(ATTACKS));
    expect(Object.fromEntries(Object.keys(ATTACKS).map((name, i) => [name, results[i]]))).toEqual(
      Object.fromEntries(Object.keys(ATTACKS).map(name => [name, EPERM])),
    );
    expect(spawned).toBe('EPERM');
    expect(works).toEqual(WORKS);
    expect(status).toEqual([expect.stringMatching(CONFINED)]);
    expect(logged).toEqual([
      expect.stringMatching(/^confined: CAP_NET_BIND_SERVICE CAP_NET_ADMIN, no_new_privs, system calls filtered, /),
    ]);
  });

  test('gets ENOSYS for newer calls', () => {
    expect(
      run('confined', [[numberOf('future')], [numberOf('mseal'), 0, 0, 0], [numberOf('clone3'), 0, 0]]).results,
    ).toEqual([ENOSYS, ENOSYS, ENOSYS]);
  });

  test.each([
    ['a new kernel', 'confined', 0, ['5']],
    ['a new kernel, logging', 'verbose', 0, ['7']],
    ['Linux 4.14 to 4.16', 'confined', SPEC_ALLOW, ['5', '1']],
    ['Linux 4.14 to 4.16, logging', 'verbose', SPEC_ALLOW, ['7', '3']],
    ['older kernels, logging', 'verbose', SPEC_ALLOW | LOG, ['7', '3', '1']],
  ] as const)(
    'asks %s to change nothing about speculation, and does without unknown flags',
    (_, how, unknown, asked) => {
      const library = join(folder, 'flags.so');
      execFileSync(CC, ['-shared', '-fPIC', '-x', 'c', '-', '-o', library, '-ldl'], { input: FLAGS });
      const { status, stdout, stderr } = start(how, [], { LD_PRELOAD: library, UNKNOWN_FLAGS: `${unknown}` });
      expect(status, stderr).toBe(0);
      expect([...stderr.matchAll(/^flags (\d+)$/gm)].map(([, flags]) => flags)).toEqual(asked);
      expect((JSON.parse(stdout) as Outcome).status).toEqual([expect.stringMatching(CONFINED)]);
    },
  );

  test('without confinement the same calls reach the kernel, and programs start', () => {
    const calls = [ATTACKS['a packet socket']!, ATTACKS['a TCP socket']!, ATTACKS['a signal for init']!];
    const { results, spawned, works, status } = run('free', calls);
    for (const result of results) expect(result).toBeGreaterThanOrEqual(0);
    expect(spawned).toBe(0);
    expect(works).toEqual(WORKS);
    for (const text of status) expect(text).toMatch(/NoNewPrivs 0 Seccomp 0$/);
  });

  test('a machine that refuses the filter or capset gets a message, and the process goes on', () => {
    const { works, status, logged, again } = run('twice');
    expect(logged.slice(1, 3)).toEqual([
      expect.stringMatching(/^error: .*capabilities.*EPERM|^error: .*not permitted/i),
      expect.stringMatching(/^error: no filter of system calls here, so the device runs without: seccomp: /),
    ]);
    expect(again).toBe('EPERM');
    expect(works).toEqual(WORKS);
    expect(status).toEqual([expect.stringMatching(CONFINED)]);
  });

  if (process.arch === 'x64')
    test('ends at a system call of the 32-bit ABI', () => {
      expect(start('free', [[-32]]).status).toBe(0);
      const { signal, status } = start('confined', [[-32]]);
      expect(signal ?? status).toBe('SIGSYS');
    });
});
