/* Fuzz target: giving up rights in all threads (native/privileges.c), in a process whose threads
 * start others, end, and handle signals late or never, and of which /proc says more than is asked
 * for. If the result is 0, no thread has more rights than the kept ones. No thread gains a right,
 * is signalled twice, or before the calling thread has given up its own.
 *
 * Input: the kept rights (4 bytes), threads (1), what each of them has (5), then what the kernel
 * does with each call (1). */
#include "input.h"
#include "node-api.h"
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 12, FIRST_TID = 100, SIGNAL = 33, NEVER = 0xff, LONGEST = 2048, MOST_PASSES = 2000 };

struct thread {
  uint64_t permitted, effective, inheritable;
  int no_new_privs, has_ambient, is_dead, is_signalled;
  int delay; /* sleeps until it handles a signal */
};

static struct input kernel;
static struct thread threads[MOST];
static int count, current, at, is_inside, is_handling, open_folders, open_files, passes, has_failed;
static int64_t now;
static uint32_t keep;
static void (*handler)(int);
static char text[LONGEST];

/* Returns whether the next call fails, and sets errno. After the end of the input, none does. */
static int fails(void) {
  static const int errors[] = {EPERM, ENOENT, EMFILE, EINVAL};
  uint8_t kind = (uint8_t)take(&kernel, 1);
  errno = errors[kind % 4];
  return kind >= 0xf8;
}

/* A thread that is not dead starts another one, which has the same rights. */
static void start_some(void) {
  uint8_t kind = (uint8_t)take(&kernel, 1);
  int parent = kind % 16;
  if (kind < 0xe0 || parent >= count || count == MOST || threads[parent].is_dead) return;
  threads[count] = threads[parent];
  threads[count].is_signalled = 0;
  threads[count++].delay = kind & 16 ? 1 : 0;
}

/* The linker gives privileges.c these functions in place of the C library's. */
int __wrap_prctl(int option, ...);
int __real_prctl(int option, ...);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
DIR *__wrap_opendir(const char *path);
DIR *__real_opendir(const char *path);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__real_readdir(DIR *folder);
int __wrap_closedir(DIR *folder);
int __real_closedir(DIR *folder);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__real_fopen(const char *path, const char *mode);
int __wrap_fclose(FILE *file);
int __real_fclose(FILE *file);
int __wrap_nanosleep(const struct timespec *for_long, struct timespec *left);
int __real_nanosleep(const struct timespec *for_long, struct timespec *left);
int __wrap_clock_gettime(clockid_t clock, struct timespec *to);
int __real_clock_gettime(clockid_t clock, struct timespec *to);

int __wrap_prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long what = va_arg(list, unsigned long);
  va_end(list);
  if (!is_inside) return __real_prctl(option, what, 0ul, 0ul, 0ul);
  struct thread *own = &threads[current];
  if (option == PR_SET_NO_NEW_PRIVS) {
    if (!is_handling && fails()) return has_failed = 1, -1;
    must(what == 1, "no_new_privs is set");
    own->no_new_privs = 1;
  } else if (option == PR_CAP_AMBIENT) {
    must(what == PR_CAP_AMBIENT_CLEAR_ALL, "ambient rights are cleared");
    own->has_ambient = 0;
  } else {
    must(option == PR_CAPBSET_DROP && (what >= 32 || !(keep >> what & 1)), "no right that is kept is dropped from the bounding set");
    errno = EPERM;
    return -1;
  }
  return 0;
}

static long get_rights(struct __user_cap_data_struct *data) {
  const struct thread *own = &threads[current];
  for (int half = 0; half < 2; half++)
    data[half] = (struct __user_cap_data_struct){(uint32_t)(own->effective >> 32 * half), (uint32_t)(own->permitted >> 32 * half),
                                                 (uint32_t)(own->inheritable >> 32 * half)};
  return 0;
}

static long set_rights(const struct __user_cap_data_struct *data) {
  struct thread *own = &threads[current];
  if (!is_handling && fails()) return has_failed = 1, -1;
  uint64_t permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
  uint64_t effective = data[0].effective | (uint64_t)data[1].effective << 32;
  uint64_t inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
  must(!(permitted & ~own->permitted) && !(effective & ~permitted), "no thread gains a right");
  must(permitted == (own->permitted & keep) && !inheritable, "the kept rights stay, and no others");
  own->permitted = permitted, own->effective = effective, own->inheritable = inheritable;
  return 0;
}

static void handle(int thread) {
  current = thread;
  is_handling = 1;
  errno = 77;
  handler(SIGNAL);
  must(errno == 77, "a handler keeps errno");
  is_handling = current = 0;
}

static long send_signal(pid_t pid, pid_t tid, int number) {
  must(pid == getpid() && number == SIGNAL && handler && tid >= FIRST_TID && tid < FIRST_TID + count, "a thread of this process is signalled");
  struct thread *other = &threads[tid - FIRST_TID];
  errno = ESRCH;
  if (other->is_dead) return -1;
  must(!other->is_signalled, "a thread is signalled once");
  other->is_signalled = 1;
  /* the calling thread handles its own at once; it needs one only if its rights could not be read
   */
  if (tid == FIRST_TID) handle(0);
  return 0;
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long);
  va_end(list);
  if (!is_inside) return __real_syscall(number, a, b, c, d);
  if (number == SYS_capget) return get_rights((struct __user_cap_data_struct *)b);
  if (number == SYS_capset) return set_rights((const struct __user_cap_data_struct *)b);
  if (number == SYS_tgkill) return send_signal((pid_t)a, (pid_t)b, (int)c);
  must(number == SYS_rt_sigaction && (int)a == SIGNAL && d == 8, "only the one signal is handled");
  if (!handler && fails()) return -1;
  /* the kernel's struct sigaction begins with the handler */
  if (c) memset((void *)c, 0, sizeof(void *));
  memcpy(&handler, (const void *)b, sizeof handler);
  return 0;
}

DIR *__wrap_opendir(const char *path) {
  if (!is_inside) return __real_opendir(path);
  must(++passes < MOST_PASSES, "the passes end");
  if (fails()) return NULL;
  open_folders++;
  at = -2;
  return (DIR *)threads;
}

struct dirent *__wrap_readdir(DIR *folder) {
  static struct dirent entry;
  if (!is_inside) return __real_readdir(folder);
  start_some();
  while (at >= 0 && at < count && threads[at].is_dead) at++;
  if (at >= count) return NULL;
  if (at < 0) snprintf(entry.d_name, sizeof entry.d_name, at == -2 ? "." : "..");
  else snprintf(entry.d_name, sizeof entry.d_name, "%d", FIRST_TID + at);
  at++;
  return &entry;
}

int __wrap_closedir(DIR *folder) {
  if (!is_inside) return __real_closedir(folder);
  open_folders--;
  return 0;
}

/* Writes /proc/self/task/TID/status: what is asked for, among other lines. */
static size_t describe(const struct thread *thread) {
  int length = snprintf(text, sizeof text, "Name:\tCapPrm: 0\nGroups:\t");
  for (int groups = (int)take(&kernel, 1); groups > 0; groups--) length += snprintf(text + length, sizeof text - (size_t)length, "%d ", groups);
  length += snprintf(text + length, sizeof text - (size_t)length, "\nCapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nNoNewPrivs:\t%d\n",
                     (unsigned long long)thread->inheritable, (unsigned long long)thread->permitted, (unsigned long long)thread->effective,
                     (unsigned long long)-1, thread->no_new_privs);
  return (size_t)length;
}

FILE *__wrap_fopen(const char *path, const char *mode) {
  int tid;
  if (!is_inside || strncmp(path, "/proc/", 6) != 0) return __real_fopen(path, mode);
  must(sscanf(path, "/proc/self/task/%d/status", &tid) == 1 && tid >= FIRST_TID && tid < FIRST_TID + count, "only threads are read");
  struct thread *thread = &threads[tid - FIRST_TID];
  if (tid != FIRST_TID && take(&kernel, 1) >= 0xf8) thread->is_dead = 1;
  errno = ENOENT;
  if (thread->is_dead) return NULL;
  if (fails() && errno != ENOENT) return NULL;
  open_files++;
  return fmemopen(text, describe(thread), "r");
}

int __wrap_fclose(FILE *file) {
  if (is_inside) open_files--;
  return __real_fclose(file);
}

/* The other threads handle their signals while the calling one sleeps. */
int __wrap_nanosleep(const struct timespec *for_long, struct timespec *left) {
  if (!is_inside) return __real_nanosleep(for_long, left);
  now += 10; /* a sleep of 1 ms on a busy machine, and fewer passes for each input */
  for (int i = 1; i < count; i++) {
    if (threads[i].is_dead || !threads[i].is_signalled || threads[i].delay == NEVER) continue;
    if (threads[i].delay-- > 0) continue;
    handle(i);
    threads[i].delay = NEVER;
  }
  return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *to) {
  if (!is_inside) return __real_clock_gettime(clock, to);
  uint8_t kind = (uint8_t)take(&kernel, 1);
  now += kind == 0xff ? 10000 : kind / 16; /* a machine that stood still */
  *to = (struct timespec){now / 1000, now % 1000 * 1000000};
  return 0;
}

static int is_reduced(const struct thread *thread) {
  return thread->is_dead || (!((thread->permitted | thread->effective) & ~(uint64_t)keep) && !thread->inheritable && thread->no_new_privs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  keep = (uint32_t)take(&in, 4);
  count = 1 + (int)take(&in, 1) % 8;
  for (int i = 0; i < count; i++) {
    uint64_t rights = take(&in, 4);
    uint8_t kind = (uint8_t)take(&in, 1);
    threads[i] = (struct thread){.permitted = kind & 1 ? rights | 1ull << 40 : rights, .inheritable = kind & 2 ? rights : 0,
                                 .has_ambient = kind >> 2 & 1, .delay = kind & 128 ? NEVER : kind >> 4, .no_new_privs = kind >> 3 & 1};
    threads[i].effective = threads[i].permitted;
  }
  kernel = in;
  current = is_handling = passes = open_folders = open_files = has_failed = 0;
  now = 0;
  handler = NULL;
  is_inside = 1;
  napi_value result = fuzz_call(fuzz_export(&wg_exports_privileges, "dropPrivileges"), 1, (napi_value[]){fuzz_number(keep)});
  is_inside = 0;
  must(open_folders == 0 && open_files == 0, "folders and files are closed");
  must(!result == has_failed, "it throws if the calling thread keeps its rights");
  int left = 0, signalled = 0;
  for (int i = 0; i < count; i++) left += !is_reduced(&threads[i]), signalled += threads[i].is_signalled;
  must(result || !signalled, "a call that throws changes no other thread");
  if (result && fuzz_result(result) == 0) {
    must(left == 0 && !threads[0].has_ambient, "0 says that no thread has more rights");
    must(passes >= 2, "0 is the result of two passes");
    must(!handler, "the signal has no handler of ours once no thread can get it");
  }
  fuzz_end();
  return 0;
}
