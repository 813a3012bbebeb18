/* Gives up rights in every thread of the process: capabilities, and new ones by execve
 * (no_new_privs). Both belong to a thread, and Node has started threads of its own before the first
 * line of our code. So the other threads run the same calls in a signal handler, as glibc does for
 * setuid(2). */
#define _GNU_SOURCE
#include "addon.h"
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* glibc's SIGSETXID, which no thread blocks: sigfillset and pthread_sigmask leave it out, and those
 * of musl do too. glibc and musl handle it only for calls that this process does not make. */
enum { SIGNAL = 33, MOST_THREADS = 1024, PATIENCE_MS = 500, KERNEL_SIGSET = 8 };

/* The kernel's struct sigaction; the C library refuses this signal. */
struct kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

#ifdef __x86_64__
/* x86-64 has no default code that returns from a handler */
enum { FLAGS = SA_RESTART | 0x04000000 /* SA_RESTORER */ };
void wg_return_from_handler(void);
__asm__(".pushsection .text\n.hidden wg_return_from_handler\n.globl wg_return_from_handler\n.type wg_return_from_handler,@function\n"
        "nop\nwg_return_from_handler:\nmov $15, %eax\nsyscall\n.popsection\n");
#define RESTORER wg_return_from_handler
#else
enum { FLAGS = SA_RESTART };
#define RESTORER NULL
#endif

static uint32_t kept;

/* Reduces the rights of the calling thread. Makes only system calls, because handlers call it.
 * Returns 0 or an errno. */
static int reduce(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  /* fails without CAP_SETPCAP; no program is started any more that the bounding set could limit */
  for (int capability = 0; capability < 64; capability++)
    if (capability >= 32 || !(kept >> capability & 1)) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (syscall(SYS_capget, &header, data) != 0) return errno;
  /* a service manager may have taken them, and capset with them */
  if (!(data[0].permitted & ~kept) && !data[1].permitted && !data[0].inheritable && !data[1].inheritable) return 0;
  data[0].effective &= kept;
  data[0].permitted &= kept;
  data[1].effective = data[1].permitted = 0;
  data[0].inheritable = data[1].inheritable = 0;
  return syscall(SYS_capset, &header, data) != 0 ? errno : 0;
}

static void on_signal(int number) {
  (void)number;
  int before = errno;
  reduce();
  errno = before;
}

/* Reports whether a thread has no rights but the kept ones; also true if it has ended. */
static int is_reduced(const char *tid) {
  char path[64], line[128];
  unsigned long long set, rest = 0;
  int privileges = 1;
  snprintf(path, sizeof path, "/proc/self/task/%.20s/status", tid);
  FILE *status = fopen(path, "re");
  if (!status) return errno == ENOENT || errno == ESRCH;
  while (fgets(line, sizeof line, status)) {
    if (sscanf(line, "CapPrm: %llx", &set) == 1 || sscanf(line, "CapEff: %llx", &set) == 1) rest |= set & ~(unsigned long long)kept;
    if (sscanf(line, "CapInh: %llx", &set) == 1) rest |= set;
    sscanf(line, "NoNewPrivs: %d", &privileges);
  }
  fclose(status);
  return rest == 0 && privileges == 1;
}

/* Signals each thread that has not been signalled and is not reduced. Returns how many were not
 * reduced, or -1 if they cannot be listed. */
static int pass(pid_t *signalled, int *count) {
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return -1;
  int left = 0;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    pid_t tid = (pid_t)atoi(entry->d_name);
    if (tid <= 0 || is_reduced(entry->d_name)) continue;
    int known = 0;
    for (int i = 0; i < *count; i++) known |= signalled[i] == tid;
    /* once only: a second signal could arrive when the handler is no longer ours */
    if (!known && *count < MOST_THREADS && syscall(SYS_tgkill, getpid(), tid, SIGNAL) == 0) signalled[(*count)++] = tid;
    left++;
  }
  closedir(tasks);
  return left;
}

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reduces all other threads. A thread may start another one before it handles the signal; only two
 * passes in a row without a finding rule that out. The device does not answer during this time, so
 * it is short: an emulator's own threads, for example, never handle the signal. Returns how many
 * are left. */
static int reduce_others(void) {
  struct kernel_sigaction ours = {.handler = on_signal, .flags = FLAGS, .restorer = RESTORER}, before;
  const struct timespec moment = {.tv_nsec = 1000000};
  pid_t signalled[MOST_THREADS];
  int count = 0, left = 0, clean = 0;
  if (syscall(SYS_rt_sigaction, SIGNAL, &ours, &before, KERNEL_SIGSET) != 0) return -1;
  /* only after a finding is the time asked: a pause of the machine says nothing of the threads */
  for (int64_t end = milliseconds() + PATIENCE_MS; clean < 2;) {
    left = pass(signalled, &count);
    if (left < 0 || (left > 0 && milliseconds() >= end)) break;
    clean = left == 0 ? clean + 1 : 0;
    if (left > 0) nanosleep(&moment, NULL);
  }
  /* otherwise a signal may still arrive */
  if (clean == 2) syscall(SYS_rt_sigaction, SIGNAL, &before, NULL, KERNEL_SIGSET);
  return left;
}

/* dropPrivileges(keep): keeps only the capabilities of the mask, in all threads, and sets
 * no_new_privs. Returns how many other threads still have more, or -1 if they cannot be listed.
 * Throws system errors; then nothing has changed in the other threads. */
static napi_value drop_privileges(napi_env env, napi_callback_info info) {
  napi_value argument;
  if (!wg_arguments(env, info, &argument, 1)) return NULL;
  if (napi_get_value_uint32(env, argument, &kept) != napi_ok) return wg_throw_type(env, "not a mask of capabilities");
  int err = reduce();
  if (err) return wg_throw_errno(env, "capset", err);
  return wg_number(env, reduce_others());
}

static const struct wg_function FUNCTIONS[] = {
    {"dropPrivileges", drop_privileges},
    {NULL, NULL},
};
const struct wg_exports wg_exports_privileges = {FUNCTIONS, NULL};
