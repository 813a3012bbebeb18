/* Seals and opens jobs in one thread. A lane is that thread's working state; all lanes of a cipher
 * read one table of keys. The main thread has a lane in cipher.c, and each worker one in lanes.c.
 * src/protocol/transport-cipher.ts defines the jobs, src/protocol/transport-twin.ts the results.
 *
 * The numbers of a job are not trusted: every offset, length and slot is checked against its array.
 * A job that does not fit gets the result 0 or -1, as in the twin. */
#ifndef WG_LANE_H
#define WG_LANE_H
#include "aead.h"
#include "key-table.h"

/* The fields of jobs, as in src/protocol/transport-cipher.ts. */
enum {
  SEAL_OFFSET,
  SEAL_LENGTH,
  SEAL_KEY,
  SEAL_RECEIVER,
  SEAL_COUNTER_LOW,
  SEAL_COUNTER_HIGH,
  SEAL_COUNT,
  SEAL_OUT_OFFSET,
  SEAL_MTU,
  SEAL_OUT_LENGTH,
  SEAL_OUT_SEGMENT,
  SEAL_STRIDE = 12,
};
enum { OPEN_OFFSET, OPEN_LENGTH, OPEN_KEY, OPEN_COUNTER_LOW, OPEN_COUNTER_HIGH, OPEN_RESULT, OPEN_STRIDE = 8 };

struct wg_lane {
  const struct wg_aead *aead;
  void *state;
  const struct wg_key_table *keys;
  struct wg_aead_op ops[WG_AEAD_BATCH];
  int queued;
};

struct wg_span {
  uint8_t *bytes;
  size_t length;
};

/* Makes a lane for `keys`. Returns 0 if the provider is not available or fails its self-test. */
int wg_lane_open(struct wg_lane *lane, const struct wg_aead *aead, const struct wg_key_table *keys);
/* Frees the state of the provider and overwrites the lane. */
void wg_lane_close(struct wg_lane *lane);

/* Seals packets of `input` into messages in `output`. Results are written into the jobs. If the
 * arrays overlap, all jobs are refused. */
void wg_lane_seal(struct wg_lane *lane, struct wg_span input, struct wg_span output, int32_t *jobs, size_t count);
/* Opens messages in place. Results are written into the jobs. */
void wg_lane_unseal(struct wg_lane *lane, struct wg_span slab, int32_t *jobs, size_t count);
#endif
