/* Fuzz target: the filter of system calls (native/sandbox.c). The program that is built and the one
 * that is installed are the same; it gives each call the verdict that the table and the meaning of
 * its checks give it, refuses everything else, and kills calls of another architecture or of x32.
 *
 * Input: options (1 byte), what the kernel says to each installation (3), then calls: what is
 * special (1), the number (1 or 4), and for each of the first four arguments what it is (1, 4 or
 * 8). */
#define _GNU_SOURCE
#include "sandbox-calls.h"
#include "bpf.h"
#include "node-api.h"
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/socket.h>

#ifdef __x86_64__
enum { HAS_X32 = 1 };
static const uint32_t OWN = AUDIT_ARCH_X86_64;
#else
enum { HAS_X32 = 0 };
static const uint32_t OWN = AUDIT_ARCH_AARCH64;
#endif

enum { NETNS = 1, RING = 2, LOG = 4, X32_BIT = 0x40000000, TRIES = 3 };
/* of seccomp(2) */
enum { ALL_THREADS = 1, LOGGED = 2, SPEC_ALLOW = 4 };
static const uint32_t ALLOWED = SECCOMP_RET_ALLOW, REFUSED = SECCOMP_RET_ERRNO | EPERM, MISSING = SECCOMP_RET_ERRNO | ENOSYS,
                      KILLED = 0x80000000;

static uint32_t installed_flags[TRIES];
static int installations, answers[TRIES];
static struct sock_filter installed[BPF_MAXINSNS];
static int installed_length;

/* The linker gives sandbox.c this function in place of the C library's. */
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long operation = va_arg(list, long);
  uint32_t flags = (uint32_t)va_arg(list, unsigned long);
  const struct sock_fprog *program = va_arg(list, const struct sock_fprog *);
  va_end(list);
  must(number == SYS_seccomp && operation == 1, "a filter is set");
  must(installations < TRIES && program->len <= BPF_MAXINSNS, "a filter is set once, and again only without a flag");
  memcpy(installed, program->filter, program->len * sizeof *installed);
  installed_length = program->len;
  installed_flags[installations] = flags;
  int answer = answers[installations++];
  if (answer >= 0) return answer;
  errno = -answer;
  return -1;
}

static uint32_t among(uint32_t value, const uint32_t *list, int count) {
  for (int i = 0; i < count; i++)
    if (list[i] == value) return ALLOWED;
  return REFUSED;
}

/* What a check means, in the words of sandbox-calls.h. */
static uint32_t verdict_of(enum wg_check check, const uint64_t *args) {
  uint32_t first = (uint32_t)args[0], second = (uint32_t)args[1];
  switch (check) {
    case WG_ANY: case WG_RING: return ALLOWED;
    case WG_ABSENT: return MISSING;
    case WG_THREAD: {
      int is_thread = first & CLONE_VM && first & CLONE_SIGHAND && first & CLONE_THREAD;
      uint32_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
      return is_thread && !(first & (spaces | CLONE_VFORK | CLONE_PTRACE)) ? ALLOWED : REFUSED;
    }
    case WG_SOCKET:
      if (first == AF_UNIX || first == AF_NETLINK) return ALLOWED;
      return (first == AF_INET || first == AF_INET6) && (second & 0xf) == SOCK_DGRAM ? ALLOWED : REFUSED;
    case WG_IOCTL: return among(second, WG_IOCTLS, WG_IOCTL_COUNT);
    case WG_PRCTL: return among(first, WG_PRCTLS, WG_PRCTL_COUNT);
    case WG_OWN_PID: return first == (uint32_t)getpid() ? ALLOWED : REFUSED;
    case WG_LIMIT: return first == 0 && args[2] == 0 ? ALLOWED : REFUSED;
    case WG_MODE1: return args[1] & 06000 ? REFUSED : ALLOWED;
    case WG_MODE2: return args[2] & 06000 ? REFUSED : ALLOWED;
    case WG_MODE3: return args[3] & 06000 ? REFUSED : ALLOWED;
    case WG_NETNS: return second == CLONE_NEWNET ? ALLOWED : REFUSED;
  }
  return REFUSED;
}

static uint32_t expected(const struct seccomp_data *call, int options) {
  uint32_t number = (uint32_t)call->nr;
  if (call->arch != OWN || (HAS_X32 && number >= X32_BIT)) return KILLED;
  const uint64_t args[] = {call->args[0], call->args[1], call->args[2], call->args[3]};
  for (int i = 0; i < WG_CALL_COUNT; i++) {
    enum wg_check check = WG_CALLS[i].check;
    if (WG_CALLS[i].number != number) continue;
    if ((check == WG_NETNS && !(options & NETNS)) || (check == WG_RING && !(options & RING))) return REFUSED;
    return verdict_of(check, args);
  }
  for (int i = 0; i < WG_FORBIDDEN_COUNT; i++)
    if (WG_FORBIDDEN[i] == number) return REFUSED;
  return number >= WG_FIRST_PROBED ? MISSING : REFUSED;
}

/* Reads an argument: often one that a check asks for. */
static uint64_t take_argument(struct input *in) {
  static const uint64_t usual[] = {CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, CLONE_NEWNET, SOCK_DGRAM | SOCK_CLOEXEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, 04755, 02755, 0600};
  uint8_t kind = (uint8_t)take(in, 1);
  uint64_t high = kind & 0x40 ? (uint64_t)take(in, 4) << 32 : 0;
  if (kind & 0x80) return high | take(in, 4);
  if (kind & 0x20) return high | WG_IOCTLS[kind % WG_IOCTL_COUNT];
  if (kind & 0x10) return high | (kind & 8 ? (uint32_t)getpid() : WG_PRCTLS[kind % WG_PRCTL_COUNT]);
  return high | (kind < sizeof usual / sizeof *usual ? usual[kind] : 0);
}

static void install(const struct sock_filter *code, int length, int options) {
  installations = 0;
  napi_value result = fuzz_call(fuzz_export(&wg_exports_sandbox, "sandboxInstall"), 1, (napi_value[]){fuzz_number(options)});
  must(installed_length == length && memcmp(installed, code, (size_t)length * sizeof *code) == 0, "what is installed is what was built");
  const uint32_t logged = options & LOG ? LOGGED : 0;
  const uint32_t allowed[TRIES] = {ALL_THREADS | SPEC_ALLOW | logged, ALL_THREADS | logged, ALL_THREADS};
  for (int i = 0; i < installations; i++) {
    must(installed_flags[i] == allowed[i], "a filter is for all threads, first with the flags that old kernels do not know");
    must(i == 0 || answers[i - 1] == -EINVAL, "only a kernel that does not know a flag is asked again");
  }
  must(!result == (answers[installations - 1] != 0), "only a filter in all threads counts as installed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int options = (int)take(&in, 1);
  static const int said[] = {0, -EINVAL, -EPERM, 77};
  for (int i = 0; i < TRIES; i++) answers[i] = said[take(&in, 1) % 4];
  size_t bytes;
  const void *program = fuzz_data(fuzz_call(fuzz_export(&wg_exports_sandbox, "sandboxProgram"), 1, (napi_value[]){fuzz_number(options)}), &bytes);
  int length = (int)(bytes / sizeof(struct sock_filter));
  struct sock_filter *code = copy_of(program, bytes);
  bpf_check(code, length);
  install(code, length, options);
  while (in.left) {
    uint8_t what = (uint8_t)take(&in, 1);
    struct seccomp_data call = {.arch = what & 0x80 ? (uint32_t)take(&in, 4) : OWN};
    call.nr = (int)(what & 0x40 ? (uint32_t)take(&in, 4) : WG_CALLS[take(&in, 1) % WG_CALL_COUNT].number);
    if (what & 0x20) call.nr = (int)((uint32_t)call.nr | X32_BIT);
    for (int i = 0; i < 4; i++) call.args[i] = take_argument(&in);
    must(bpf_run(code, &call, sizeof call, 1) == expected(&call, options), "a call gets the verdict of the table");
  }
  free(code);
  fuzz_end();
  return 0;
}
