/* The threads of lanes, lending and waiting: see lanes.h. */
#define _GNU_SOURCE
#include "lanes-state.h"
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 512 * 1024, AWAKE = 100000 };

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Waits awake for AWAKE nanoseconds until a counter changes, and lets other threads run in between.
 * Returns whether it changed. A thread that sleeps is woken late, and often on the core of the
 * thread that woke it: without this wait, eight lanes sealed 1.45 and not 1.73 times what one does
 * (in memory, two cores, AMD EPYC, four runs each). */
static int stay_awake(atomic_uint *counter, unsigned seen) {
  for (uint64_t end = nanoseconds(CLOCK_MONOTONIC) + AWAKE; nanoseconds(CLOCK_MONOTONIC) < end;) {
    if (atomic_load(counter) != seen) return 1;
    sched_yield();
  }
  return atomic_load(counter) != seen;
}

static void *work(void *argument) {
  struct wg_worker *self = argument;
  struct wg_lanes *l = self->lanes;
  pthread_mutex_lock(&l->lock);
  for (;;) {
    /* after each step: under load there is always another one */
    uint64_t used = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    while (wg_lanes_step(l, &self->lane)) {
      uint64_t now = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
      self->processor += now - used;
      used = now;
    }
    if (l->closing) break;
    unsigned seen = atomic_load(&l->posted);
    pthread_mutex_unlock(&l->lock);
    int is_new = stay_awake(&l->posted, seen);
    pthread_mutex_lock(&l->lock);
    if (is_new || l->closing || atomic_load(&l->posted) != seen) continue;
    l->sleeping++;
    pthread_cond_wait(&l->wake, &l->lock);
    l->sleeping--;
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

/* Starts the threads. If one cannot be created, the others, or the owner, do its work. */
static void start(struct wg_lanes *l) {
  pthread_attr_t attributes;
  int wanted = l->count;
  l->count = 0;
  l->started = 1;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, STACK);
  /* block all signals in the threads: Node handles them */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  while (l->count < wanted) {
    struct wg_worker *worker = &l->workers[l->count];
    worker->lanes = l;
    if (!wg_lane_open(&worker->lane, l->own->aead, l->own->keys)) break;
    if (pthread_create(&worker->thread, &attributes, work, worker) != 0) {
      wg_lane_close(&worker->lane);
      break;
    }
    pthread_setname_np(worker->thread, "wg-lane");
    l->count++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

struct wg_lanes *wg_lanes_open(struct wg_lane *own, int threads) {
  int count = (threads > WG_LANES_MOST ? WG_LANES_MOST : threads) - 1;
  if (count < 0) count = 0;
  struct wg_lanes *l = calloc(1, sizeof *l + (size_t)count * sizeof *l->workers);
  if (!l) return NULL;
  l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (l->event < 0) {
    free(l);
    return NULL;
  }
  l->own = own;
  l->count = count;
  l->references = 1;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->wake, NULL);
  pthread_cond_init(&l->progress, NULL);
  return l;
}

void wg_lanes_close(struct wg_lanes *l) {
  if (l->closing) return;
  wg_lanes_settle(l);
  pthread_mutex_lock(&l->lock);
  l->closing = 1;
  pthread_cond_broadcast(&l->wake);
  pthread_mutex_unlock(&l->lock);
  for (int i = 0; l->started && i < l->count; i++) {
    pthread_join(l->workers[i].thread, NULL);
    wg_lane_close(&l->workers[i].lane);
  }
}

struct wg_lanes *wg_lanes_ref(struct wg_lanes *l) {
  l->references++;
  return l;
}

void wg_lanes_unref(struct wg_lanes *l) {
  if (!l || --l->references > 0) return;
  wg_lanes_close(l);
  close(l->event);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->wake);
  pthread_cond_destroy(&l->progress);
  free(l);
}

/* ---- lending ---- */

int wg_lanes_lend(struct wg_lanes *l, int queue, const struct wg_work *work) {
  struct wg_queue *q = &l->queues[queue];
  pthread_mutex_lock(&l->lock);
  int room = !l->closing && q->end - q->reported < WG_LANES_DEPTH;
  if (room) {
    if (!l->started) start(l);
    struct wg_batch *b = wg_batch_at(q, q->end);
    memset(b, 0, sizeof *b);
    b->work = *work;
    wg_lanes_cut(b, queue);
    q->end++;
    atomic_fetch_add(&l->posted, 1);
    int idle = b->parts > 1 ? b->parts : 1;
    if (idle > l->sleeping) idle = l->sleeping;
    for (; idle > 0; idle--) pthread_cond_signal(&l->wake);
  }
  pthread_mutex_unlock(&l->lock);
  return room;
}

int wg_lanes_help(struct wg_lanes *l) {
  pthread_mutex_lock(&l->lock);
  int did = wg_lanes_step(l, l->own);
  pthread_mutex_unlock(&l->lock);
  return did;
}

void wg_lanes_done(struct wg_lanes *l, struct wg_lanes_back *back) {
  pthread_mutex_lock(&l->lock);
  *back = l->back;
  memset(&l->back, 0, sizeof l->back);
  for (int i = 0; i < WG_QUEUES; i++) {
    struct wg_queue *q = &l->queues[i];
    back->batches[i] = (int32_t)(q->head - q->reported);
    q->reported = q->head;
  }
  pthread_mutex_unlock(&l->lock);
}

/* ---- waiting ---- */

/* Reports whether keys are in use, or may be. */
static int parts_left(const struct wg_lanes *l) {
  for (int i = 0; i < WG_QUEUES; i++)
    for (unsigned n = l->queues[i].head; n != l->queues[i].end; n++) {
      const struct wg_batch *b = &l->queues[i].ring[n % WG_LANES_DEPTH];
      if (b->done < b->parts) return 1;
    }
  return 0;
}

static int work_left(const struct wg_lanes *l) {
  for (int i = 0; i < WG_QUEUES; i++)
    if (l->queues[i].head != l->queues[i].end) return 1;
  return 0;
}

static int none_back(const struct wg_lanes *l) {
  for (int i = 0; i < WG_QUEUES; i++)
    if (l->queues[i].head != l->queues[i].reported) return 0;
  return work_left(l);
}

/* Helps, and waits while there is nothing to help with, for as long as `is_left` says so. */
static void wait_while(struct wg_lanes *l, int (*is_left)(const struct wg_lanes *l)) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  l->waiting = 1;
  while (is_left(l))
    if (!wg_lanes_step(l, l->own)) pthread_cond_wait(&l->progress, &l->lock);
  l->waiting = 0;
  pthread_mutex_unlock(&l->lock);
}

void wg_lanes_next(struct wg_lanes *l) { wait_while(l, none_back); }
void wg_lanes_rest(struct wg_lanes *l) { wait_while(l, parts_left); }
void wg_lanes_settle(struct wg_lanes *l) { wait_while(l, work_left); }

int wg_lanes_fd(const struct wg_lanes *l) { return l->event; }

int wg_lanes_watch(struct wg_lanes *l) {
  uint64_t count;
  struct wg_queue *q = &l->queues[WG_QUEUE_OPEN];
  pthread_mutex_lock(&l->lock);
  if (read(l->event, &count, sizeof count) < 0) count = 0; /* not readable: nothing came back */
  l->watching = q->head == q->reported && q->head != q->end;
  int watching = l->watching;
  pthread_mutex_unlock(&l->lock);
  return watching;
}

void wg_lanes_times(struct wg_lanes *l, uint64_t *own, uint64_t *others) {
  *own = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  *others = 0;
  pthread_mutex_lock(&l->lock);
  for (int i = 0; l->started && i < l->count; i++) *others += l->workers[i].processor;
  pthread_mutex_unlock(&l->lock);
}
