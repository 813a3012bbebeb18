/* What lanes do: cuts batches into parts, seals and opens parts, and runs the tails in order. */
#define _GNU_SOURCE
#include "lanes-state.h"
#include <string.h>
#include <unistd.h>

/* Jobs whose results are compared at once. */
enum { CHECKED = 64 };

/* Seals jobs whose results are predicted. Returns how many predictions were wrong. */
static int seal_checked(struct wg_lane *lane, const struct wg_work *w, size_t from, size_t to) {
  int wrong = 0;
  for (; from < to; from += CHECKED) {
    int32_t lengths[CHECKED], segments[CHECKED], *jobs = w->jobs + from * SEAL_STRIDE;
    size_t count = to - from < CHECKED ? to - from : CHECKED;
    for (size_t i = 0; i < count; i++) {
      lengths[i] = jobs[i * SEAL_STRIDE + SEAL_OUT_LENGTH];
      segments[i] = jobs[i * SEAL_STRIDE + SEAL_OUT_SEGMENT];
    }
    wg_lane_seal(lane, w->input, w->output, jobs, count);
    for (size_t i = 0; i < count; i++)
      wrong += jobs[i * SEAL_STRIDE + SEAL_OUT_LENGTH] != lengths[i] || jobs[i * SEAL_STRIDE + SEAL_OUT_SEGMENT] != segments[i];
  }
  return wrong;
}

static int run_part(struct wg_lane *lane, int queue, const struct wg_batch *b, int part) {
  const struct wg_work *w = &b->work;
  size_t from = b->first[part], to = b->first[part + 1];
  if (queue == WG_QUEUE_SEAL) return seal_checked(lane, w, from, to);
  wg_lane_unseal(lane, w->output, w->jobs + from * OPEN_STRIDE, to - from);
  return 0;
}

static void came_back(struct wg_lanes *l, int queue) {
  l->queues[queue].head++;
  if (queue == WG_QUEUE_OPEN && l->watching) {
    uint64_t one = 1;
    l->watching = 0;
    if (write(l->event, &one, sizeof one) < 0) l->watching = 0; /* cannot fail: the counter is 0 or 1 */
  }
}

/* Ends the oldest batch of a queue: runs its tail, if all parts were right. */
static void run_tail(struct wg_lanes *l, int queue, struct wg_batch *b) {
  const struct wg_tail *tail = &b->work.tail;
  b->running = 1;
  if (b->refused) l->back.refused += (int32_t)b->work.count;
  else if (tail->device) {
    pthread_mutex_unlock(&l->lock);
    int64_t errors = tail->run(tail->device, b->work.output, tail->desc, tail->endpoints, tail->count);
    pthread_mutex_lock(&l->lock);
    if (errors < 0) l->back.gone = 1;
    else l->back.errors[queue] += errors;
  }
  came_back(l, queue);
}

static int find_part(struct wg_lanes *l, int *queue, struct wg_batch **found) {
  for (int i = 0; i < 2; i++) {
    *queue = l->turn ^ i ? WG_QUEUE_OPEN : WG_QUEUE_SEAL;
    struct wg_queue *q = &l->queues[*queue];
    for (unsigned n = q->head; n != q->end; n++) {
      *found = wg_batch_at(q, n);
      if ((*found)->taken == (*found)->parts) continue;
      l->turn ^= 1;
      return 1;
    }
  }
  return 0;
}

int wg_lanes_step(struct wg_lanes *l, struct wg_lane *lane) {
  struct wg_batch *b;
  int queue;
  for (queue = 0; queue < WG_QUEUES; queue++) {
    struct wg_queue *q = &l->queues[queue];
    b = wg_batch_at(q, q->head);
    if (q->head == q->end || b->done < b->parts || b->running) continue;
    run_tail(l, queue, b);
    if (l->waiting) pthread_cond_signal(&l->progress);
    return 1;
  }
  if (!find_part(l, &queue, &b)) return 0;
  int part = b->taken++;
  pthread_mutex_unlock(&l->lock);
  int wrong = run_part(lane, queue, b, part);
  pthread_mutex_lock(&l->lock);
  b->refused += wrong;
  b->done++;
  if (l->waiting) pthread_cond_signal(&l->progress);
  return 1;
}

void wg_lanes_cut(struct wg_batch *b, int queue) {
  const struct wg_work *w = &b->work;
  int stride = queue == WG_QUEUE_SEAL ? SEAL_STRIDE : OPEN_STRIDE, field = queue == WG_QUEUE_SEAL ? (int)SEAL_LENGTH : (int)OPEN_LENGTH;
  uint64_t total = 0, sum = 0;
  b->parts = 0;
  if (w->count == 0) return;
  for (size_t i = 0; i < w->count; i++) total += (uint32_t)w->jobs[i * (size_t)stride + (size_t)field];
  uint64_t each = total / WG_PARTS > WG_PART_BYTES ? total / WG_PARTS : WG_PART_BYTES;
  b->first[0] = 0;
  for (size_t i = 0; i < w->count; i++) {
    sum += (uint32_t)w->jobs[i * (size_t)stride + (size_t)field];
    /* a part that would begin with the last job is too small to cut off; so there are at most
     * WG_PARTS */
    if (sum < each || b->parts == WG_PARTS - 1 || i + 1 == w->count) continue;
    b->first[++b->parts] = i + 1;
    sum = 0;
  }
  b->first[++b->parts] = w->count;
}
