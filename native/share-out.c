/* Helper threads, which sleep until there is work. The first batch that is large enough starts
 * them. A device whose handshakes arrive singly therefore starts no helper. The helpers never end:
 * they belong to the process, no matter which thread started them. The linker therefore marks the
 * addon as never unloaded (-z nodelete). The calling thread always works too: if helpers wake late
 * or could not be created, the work only takes longer. */
#define _GNU_SOURCE
#include "share-out.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>

/* WORTH_IT: fewer items use no helper, because waking a thread costs about as much as one item. */
enum { MAX_HELPERS = 7, WORTH_IT = 3, STACK = 256 * 1024 };

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake, idle;
  void (*work)(void *argument, int i);
  void *argument;
  int next, count; /* items not yet taken */
  int active;      /* helpers at work */
  int taken;       /* a caller is using the pool; other callers work alone */
  int begun;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER};

/* Processes items until none are left. Called with the lock held; releases it during each item. */
static void work_off(void) {
  while (pool.next < pool.count) {
    int i = pool.next++;
    void (*work)(void *, int) = pool.work;
    void *argument = pool.argument;
    pthread_mutex_unlock(&pool.lock);
    work(argument, i);
    pthread_mutex_lock(&pool.lock);
  }
}

static void *helper(void *unused) {
  pthread_mutex_lock(&pool.lock);
  for (;;) {
    while (pool.next >= pool.count) pthread_cond_wait(&pool.wake, &pool.lock);
    pool.active++;
    work_off();
    if (--pool.active == 0) pthread_cond_signal(&pool.idle);
  }
  return unused;
}

/* Starts one helper for each other core that this process may use. */
static void begin(void) {
  pool.begun = 1;
  cpu_set_t cpus;
  int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) - 1 : 0;
  if (count > MAX_HELPERS) count = MAX_HELPERS;
  pthread_attr_t attributes;
  if (count <= 0 || pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, STACK);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* block all signals in the helpers: Node handles them */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_t thread;
  while (count-- > 0 && pthread_create(&thread, &attributes, helper, NULL) == 0) pthread_setname_np(thread, "wg-crypto");
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

void wg_share_out(void (*work)(void *argument, int i), void *argument, int count) {
  pthread_mutex_lock(&pool.lock);
  if (count < WORTH_IT || pool.taken) {
    pthread_mutex_unlock(&pool.lock);
    for (int i = 0; i < count; i++) work(argument, i);
    return;
  }
  if (!pool.begun) begin();
  pool.taken = 1;
  pool.work = work;
  pool.argument = argument;
  pool.next = 0;
  pool.count = count;
  pthread_cond_broadcast(&pool.wake);
  work_off();
  while (pool.active > 0) pthread_cond_wait(&pool.idle, &pool.lock);
  pool.taken = 0;
  pthread_mutex_unlock(&pool.lock);
}
