/* The seccomp filter of a running device: builds its BPF program from the table of sandbox-calls.h,
 * and installs it in all threads (seccomp(2), Documentation/userspace-api/seccomp_filter.rst). What
 * the table does not allow fails with an errno; it does not end the process, because a tunnel that
 * lacks a system call is worth more than none. */
#define _GNU_SOURCE
#include "sandbox-calls.h"
#include "addon.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* Since Linux 4.14; older headers lack them. */
#ifndef SECCOMP_FILTER_FLAG_LOG
#define SECCOMP_FILTER_FLAG_LOG 2
#endif
#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW 4 /* Linux 4.17 */
#endif
#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

/* X32: numbers of the x32 ABI have this bit. SOCK_TYPE_MASK: a type without SOCK_CLOEXEC and
 * SOCK_NONBLOCK. MOST: the kernel's limit is 4096. */
enum { X32 = 0x40000000, SOCK_TYPE_MASK = 0xf, MOST = 1024 };

/* Bits of the argument `options`, the same as in src/io/sandbox.ts. */
enum { OPTION_NETNS = 1, OPTION_RING = 2, OPTION_LOG = 4 };

static const uint32_t ALLOW = SECCOMP_RET_ALLOW, KILL = SECCOMP_RET_KILL_PROCESS;
static const uint32_t REFUSE = SECCOMP_RET_ERRNO | EPERM, UNKNOWN = SECCOMP_RET_ERRNO | ENOSYS;

struct program {
  struct sock_filter code[MOST];
  int length;
};

static void add(struct program *p, uint16_t code, uint32_t k, int yes, int no) {
  if (p->length < MOST) p->code[p->length] = (struct sock_filter){code, (uint8_t)yes, (uint8_t)no, k};
  p->length++;
}

static void finish(struct program *p, uint32_t action) { add(p, BPF_RET | BPF_K, action, 0, 0); }

/* Loads the low or high half of an argument; both architectures are little-endian. */
static void load_argument(struct program *p, int argument, int high) {
  add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[0]) + (uint32_t)(8 * argument + 4 * high), 0, 0);
}

/* Finishes with an action if the accumulator has the value. */
static void finish_if(struct program *p, uint32_t value, uint32_t action) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
  finish(p, action);
}

static void mask(struct program *p, uint32_t bits) { add(p, BPF_ALU | BPF_AND | BPF_K, bits, 0, 0); }

/* Allows one of some values of an argument. The kernel reads these arguments as 32 bits. */
static void allow_values(struct program *p, int argument, const uint32_t *values, int count) {
  load_argument(p, argument, 0);
  for (int i = 0; i < count; i++) finish_if(p, values[i], ALLOW);
  finish(p, REFUSE);
}

/* Allows a call if the masked argument has the value. */
static void allow_masked(struct program *p, int argument, uint32_t bits, uint32_t value) {
  load_argument(p, argument, 0);
  mask(p, bits);
  finish_if(p, value, ALLOW);
  finish(p, REFUSE);
}

/* socket(family, type): the families that the device uses, and of Internet sockets only UDP. */
static void allow_sockets(struct program *p) {
  load_argument(p, 0, 0);
  finish_if(p, AF_UNIX, ALLOW);
  finish_if(p, AF_NETLINK, ALLOW);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
  finish(p, REFUSE);
  allow_masked(p, 1, SOCK_TYPE_MASK, SOCK_DGRAM);
}

/* prlimit64(pid, resource, new, old): reads of the own limits. */
static void allow_limit_reads(struct program *p) {
  load_argument(p, 0, 0);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
  finish(p, REFUSE);
  load_argument(p, 2, 0);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
  finish(p, REFUSE);
  load_argument(p, 2, 1);
  finish_if(p, 0, ALLOW);
  finish(p, REFUSE);
}

/* Adds the check of one call, which always ends the program. */
static void add_check(struct program *p, const struct wg_call *call, uint32_t pid) {
  /* what clone(2) of a thread must and must not ask for */
  const uint32_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
  const uint32_t other = CLONE_VFORK | CLONE_PTRACE | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                         CLONE_NEWPID | CLONE_NEWNET;
  const uint32_t netns = CLONE_NEWNET;
  switch (call->check) {
    case WG_ANY: case WG_RING: finish(p, ALLOW); break;
    case WG_ABSENT: finish(p, UNKNOWN); break;
    case WG_THREAD: allow_masked(p, 0, thread | other, thread); break;
    case WG_SOCKET: allow_sockets(p); break;
    case WG_IOCTL: allow_values(p, 1, WG_IOCTLS, WG_IOCTL_COUNT); break;
    case WG_PRCTL: allow_values(p, 0, WG_PRCTLS, WG_PRCTL_COUNT); break;
    case WG_OWN_PID: allow_values(p, 0, &pid, 1); break;
    case WG_LIMIT: allow_limit_reads(p); break;
    case WG_NETNS: allow_values(p, 1, &netns, 1); break;
    case WG_MODE1: case WG_MODE2: case WG_MODE3: allow_masked(p, call->check - WG_MODE1 + 1, 06000, 0); break;
  }
}

/* Builds the program. A call costs one comparison for each entry before it in the table, on kernels
 * before 5.11; later ones remember which calls need no check. */
static void build(struct program *p, int options) {
  p->length = 0;
  add(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  finish(p, KILL);
  add(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
#ifdef __x86_64__
  add(p, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
  finish(p, KILL);
#endif
  for (int i = 0; i < WG_CALL_COUNT; i++) {
    const struct wg_call *call = &WG_CALLS[i];
    if ((call->check == WG_NETNS && !(options & OPTION_NETNS)) || (call->check == WG_RING && !(options & OPTION_RING))) continue;
    int jump = p->length;
    add(p, BPF_JMP | BPF_JEQ | BPF_K, call->number, 0, 0);
    add_check(p, call, (uint32_t)getpid());
    if (p->length <= MOST) p->code[jump].jf = (uint8_t)(p->length - jump - 1);
  }
  for (int i = 0; i < WG_FORBIDDEN_COUNT; i++) finish_if(p, WG_FORBIDDEN[i], REFUSE);
  add(p, BPF_JMP | BPF_JGE | BPF_K, WG_FIRST_PROBED, 0, 1);
  finish(p, UNKNOWN);
  finish(p, REFUSE);
}

static int built(napi_env env, napi_callback_info info, struct program *p, int32_t *options) {
  napi_value argument;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, options)) return 0;
  build(p, *options);
  if (p->length <= MOST) return 1;
  wg_throw_errno(env, "seccomp", E2BIG);
  return 0;
}

/* sandboxProgram(options): returns the program as bytes (struct sock_filter), for tests. */
static napi_value sandbox_program(napi_env env, napi_callback_info info) {
  struct program p;
  int32_t options;
  void *to;
  napi_value bytes = NULL;
  if (!built(env, info, &p, &options)) return NULL;
  size_t size = sizeof *p.code * (size_t)p.length;
  if (napi_create_buffer_copy(env, size, p.code, &to, &bytes) != napi_ok) return wg_throw_errno(env, "seccomp", ENOMEM);
  return bytes;
}

/* sandboxInstall(options): installs the filter in all threads, for ever. Needs no_new_privs. Throws
 * system errors: EINVAL without CONFIG_SECCOMP_FILTER, ESRCH if a thread has other filters. */
static napi_value sandbox_install(napi_env env, napi_callback_info info) {
  struct program p;
  int32_t options;
  if (!built(env, info, &p, &options)) return NULL;
  struct sock_fprog filter = {.len = (unsigned short)p.length, .filter = p.code};
  /* Before Linux 5.16 a filter also switches off speculative stores and indirect branches of its
   * threads, which costs packets and is meant for programs that run foreign code: SPEC_ALLOW keeps
   * the system's choice. Kernels before 4.17 do not know that flag, and those before 4.14 not the
   * one for the log. */
  const unsigned optional[] = {SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_LOG};
  unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW | (options & OPTION_LOG ? SECCOMP_FILTER_FLAG_LOG : 0);
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  for (int i = 0; i < 2 && result < 0 && errno == EINVAL; i++) {
    flags &= ~optional[i];
    result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  }
  if (result == 0) return wg_undefined(env);
  /* a positive result is the first thread that could not take the filter */
  return wg_throw_errno(env, "seccomp", result < 0 ? errno : ESRCH);
}

static const struct wg_function FUNCTIONS[] = {
    {"sandboxProgram", sandbox_program},
    {"sandboxInstall", sandbox_install},
    {NULL, NULL},
};
const struct wg_exports wg_exports_sandbox = {FUNCTIONS, NULL};
