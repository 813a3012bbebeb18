/* The state of lanes, for lanes.c (threads, lending, waiting) and lanes-work.c (what they do). */
#ifndef WG_LANES_STATE_H
#define WG_LANES_STATE_H
#include "lanes.h"
#include <pthread.h>
#include <stdatomic.h>

/* WG_PARTS: the most parts of a batch. WG_PART_BYTES: the smallest part, which takes some 30 us. */
enum { WG_PARTS = 64, WG_PART_BYTES = 64 * 1024 };

struct wg_batch {
  struct wg_work work;
  size_t first[WG_PARTS + 1]; /* the first job of each part */
  int parts, taken, done;
  int running; /* a lane runs the tail */
  int refused;
};

/* Batches from `head` to `end` are lent, those from `reported` to `head` came back. */
struct wg_queue {
  struct wg_batch ring[WG_LANES_DEPTH];
  unsigned reported, head, end;
};

struct wg_worker {
  struct wg_lanes *lanes;
  struct wg_lane lane;
  pthread_t thread;
  uint64_t processor; /* nanoseconds of work */
};

struct wg_lanes {
  pthread_mutex_t lock;
  pthread_cond_t wake, progress;
  struct wg_queue queues[WG_QUEUES];
  struct wg_lanes_back back;
  struct wg_lane *own; /* the owner's */
  int count;           /* of workers */
  int started, sleeping, waiting, closing, watching, references;
  int turn; /* the queue whose parts the next lane takes first */
  int event;
  atomic_uint posted; /* batches that were ever lent */
  struct wg_worker workers[];
};

static inline struct wg_batch *wg_batch_at(struct wg_queue *q, unsigned i) { return &q->ring[i % WG_LANES_DEPTH]; }

/* Cuts the jobs of a batch into parts of about equal bytes. */
void wg_lanes_cut(struct wg_batch *batch, int queue);
/* Takes one tail or one part. Called with the lock held; releases it during the work. Returns 0 if
 * all were taken. */
int wg_lanes_step(struct wg_lanes *lanes, struct wg_lane *lane);
#endif
