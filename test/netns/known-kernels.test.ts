/**
 * Which offloads the program avoids on a kernel that mangles them (src/daemon/known-kernels.ts),
 * and how it reports that.
 *
 * @module-tag slow
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Running, run } from './command.ts';
import { ROOT } from './device.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, OUTER_A, type Pair, tunnelPair } from './pair.ts';
import { transfer } from './traffic.ts';

/** Replaces libc's uname, so the program sees another kernel. */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
int uname(struct utsname *name) {
  int (*real)(struct utsname *) = (int (*)(struct utsname *))dlsym(RTLD_NEXT, "uname");
  int result = real(name);
  const char *release = getenv("SHIM_RELEASE");
  if (release) snprintf(name->release, sizeof name->release, "%s", release);
  return result;
}
`;
const BYTES = 8e6;

describeWith([...NETWORK, 'tcpdump', 'cc'], 'kernels that mangle offloads', () => {
  const workshop = new Lab();
  const library = `${workshop.directory}/uname.so`;
  let pair: Pair | undefined;
  beforeAll(async () => {
    await run(['cc', '-shared', '-fPIC', '-o', library, workshop.file(SHIM, 'uname.c'), '-ldl']);
    return () => workshop.close();
  });
  afterEach(() => pair?.close());

  const on = (release: string, more: Record<string, string> = {}) => ({
    env: { LD_PRELOAD: library, SHIM_RELEASE: release, ...more },
  });

  /** Returns A's output, and whether it sent trains: a veth shows them whole. */
  async function traffic(startA: { env: Record<string, string> }): Promise<{ said: string; trains: boolean }> {
    pair = await tunnelPair({ a: 'ours', b: 'ours', startA });
    const { a, b } = pair;
    const capture: Running = a.namespace.start([
      'tcpdump',
      '-lni',
      'eth0',
      '-c',
      '1',
      `udp and src ${OUTER_A[4]} and greater 3000`,
    ]);
    await new Promise(resolve => setTimeout(resolve, 500));
    const { sentDigest, receivedDigest } = await transfer(a.namespace, b.namespace, INNER_B[4], BYTES);
    expect(receivedDigest).toBe(sentDigest);
    await capture.stop('SIGINT');
    return { said: a.device.process!.output(), trains: / UDP, length /.test(capture.stdout()) };
  }

  it('sends single datagrams on a kernel that mangles trains, and reports it once', async () => {
    const { said, trains } = await traffic(on('7.1.4-arch1-1'));
    expect(trains).toBe(false);
    expect(said.match(/Linux 7\.0 to 7\.1\.4 damages UDP_SEGMENT trains/g)).toHaveLength(1);
  });

  it.each([
    ['a later kernel', on('7.1.5-arch1-1')],
    ['a kernel that the administrator declares fixed', on('7.0.14-pve', { WGTS_NO_OFFLOAD: 'none' })],
  ])('sends trains and reports nothing: %s', async (_, startA) => {
    const { said, trains } = await traffic(startA);
    expect([said, trains]).toEqual(['', true]);
  });

  it('reports a kernel that mangles merged UDP at the TUN, and works as usual', async () => {
    const { said, trains } = await traffic(on('6.5.0-35-generic'));
    expect(said.match(/hands merged UDP packets to vxlan and geneve sockets whole/g)).toHaveLength(1);
    expect(trains).toBe(true);
  });

  describe('wgts doctor', () => {
    it('reports it too', async () => {
      const env = { LD_PRELOAD: library, SHIM_RELEASE: '7.0.0-14-generic' };
      const answer = await run([process.execPath, `${ROOT}/dist/program/wgts.cjs`, 'doctor'], {
        env,
        mayFail: true,
      });
      const stdout = answer.stdout.replace(/\s+/g, ' ');
      expect(stdout).toMatch(/not used: gso +Linux 7\.0 to 7\.1\.4/);
      expect(stdout).toMatch(/- update the kernel: .*7\.0\.0-14-generic, set WGTS_NO_OFFLOAD=none/);
    });
  });
});
