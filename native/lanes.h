/* Lanes: threads that seal, open, send and write batches beside the thread that owns a device. The
 * owner lends a batch and goes on with the next one. Plain C and POSIX threads, without Node.
 *
 * There are three queues, each in order: seal (then send), open, and write. A batch is cut into
 * parts, which any lane may take in any order. When all parts of the oldest batch of a queue are
 * done, one lane runs its tail: it sends or writes the batch. So what leaves a queue never changes
 * its order. The owner may help, and helps whenever it must wait, so nothing depends on how soon a
 * thread wakes up.
 *
 * All functions are for the owner. Arrays of a lent batch must stay where they are, and must not be
 * used, until wg_lanes_done has counted the batch. */
#ifndef WG_LANES_H
#define WG_LANES_H
#include "lane.h"

/* WG_LANES_MOST: threads, with the owner. WG_LANES_DEPTH: batches in a queue. */
enum { WG_LANES_MOST = 64, WG_LANES_DEPTH = 8 };
enum { WG_QUEUE_SEAL, WG_QUEUE_OPEN, WG_QUEUE_WRITE, WG_QUEUES };

/* What happens to a batch after its parts. `run` returns how many of its descriptors had an error,
 * or -1 if the device is gone. */
struct wg_tail {
  int64_t (*run)(void *device, struct wg_span slab, int32_t *desc, uint8_t *endpoints, int32_t count);
  void *device; /* NULL: there is no tail */
  int32_t *desc;
  uint8_t *endpoints;
  int32_t count;
};

/* A batch. To seal: input, output and jobs, whose results the caller has predicted
 * (SEAL_OUT_LENGTH, SEAL_OUT_SEGMENT). To open: output and jobs. To write: output only. */
struct wg_work {
  struct wg_span input, output;
  int32_t *jobs;
  size_t count;
  struct wg_tail tail;
};

/* What has come back since the last call: batches by queue, in their order. */
struct wg_lanes_back {
  int32_t batches[WG_QUEUES];
  int64_t errors[WG_QUEUES]; /* sums of what the tails returned */
  int32_t refused;           /* jobs of batches that were not sent, because a prediction was wrong */
  int32_t gone;              /* a tail returned -1 */
};

struct wg_lanes;

/* Makes `threads` lanes, of which the owner's is one, and whose keys all of them read. The threads
 * start with the first batch. Returns NULL if there is no memory, or no eventfd. */
struct wg_lanes *wg_lanes_open(struct wg_lane *own, int threads);
/* Finishes all work and ends the threads. wg_lanes_lend then refuses everything. Idempotent. */
void wg_lanes_close(struct wg_lanes *lanes);

/* Each user of lanes holds a reference: the cipher with the keys, and devices that tails use. */
struct wg_lanes *wg_lanes_ref(struct wg_lanes *lanes);
/* Frees closed lanes with the last reference. Ignores NULL. */
void wg_lanes_unref(struct wg_lanes *lanes);

/* Lends a batch. Returns 0 if the queue is full, or the lanes are closed. */
int wg_lanes_lend(struct wg_lanes *lanes, int queue, const struct wg_work *work);
/* Does one part or tail with the owner's lane. Returns 0 if all were taken. */
int wg_lanes_help(struct wg_lanes *lanes);
/* Counts the batches that came back since the last call. */
void wg_lanes_done(struct wg_lanes *lanes, struct wg_lanes_back *back);
/* Waits until a batch comes back, or no work is left. */
void wg_lanes_next(struct wg_lanes *lanes);
/* Waits until no lane uses the keys. Ignores NULL. */
void wg_lanes_rest(struct wg_lanes *lanes);
/* Waits until all work is done. Ignores NULL. */
void wg_lanes_settle(struct wg_lanes *lanes);

/* A descriptor that becomes readable when an opened batch comes back after wg_lanes_watch. */
int wg_lanes_fd(const struct wg_lanes *lanes);
/* Asks for that. Returns 0 if no batch is left to open, or one has come back already. */
int wg_lanes_watch(struct wg_lanes *lanes);

/* In nanoseconds: the processor time of the calling thread, and of the others' work together. */
void wg_lanes_times(struct wg_lanes *lanes, uint64_t *own, uint64_t *others);
#endif
