/** A library to preload, with which a device takes this kernel for an older one. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Lab } from './lab.ts';

/**
 * Builds a library whose ioctl refuses TUNSETOFFLOAD with one of these bits, and so the whole set,
 * as a kernel does that does not know them. It then says so on standard error.
 */
export function kernelWithout(lab: Lab, bits: number, says: string): string {
  const library = join(lab.directory, `kernel-without-${bits}.so`);
  const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <linux/if_tun.h>
#include <unistd.h>
int ioctl(int fd, unsigned long request, ...) {
  static const char says[] = ${JSON.stringify(`${says}\n`)};
  static int (*real)(int, unsigned long, ...);
  va_list list;
  va_start(list, request);
  unsigned long argument = va_arg(list, unsigned long);
  va_end(list);
  if (!real) real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  if (request == TUNSETOFFLOAD && (argument & ${bits})) {
    write(2, says, sizeof says - 1);
    errno = EINVAL;
    return -1;
  }
  return real(fd, request, argument);
}
`;
  execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', library, '-ldl'], { input: source });
  return library;
}
