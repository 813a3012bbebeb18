/* Drives native/lanes.c with eight threads under ThreadSanitizer (lanes-threads.test.ts). The AEAD
 * is a stand-in that depends on key and counter: an XOR and a sum. Checks that every batch of a
 * queue comes out once, in order and whole, while the owner helps, waits, and changes keys. Built
 * with WITHOUT_REST it must fail. Usage: lanes-threads SEED BATCHES. */
#define _GNU_SOURCE
#include "lanes.h"
#include "bytes.h"
#include "offload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, SLABS = 6, PACKETS = 40, PACKET = 1200, ROOM = PACKET + 64, KEYS = 4 };

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "line %d: %s is false\n", __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

/* ---- the stand-in ---- */

static uint8_t sum(const struct wg_aead_op *op) {
  uint8_t total = op->key[0];
  for (uint32_t i = 0; i < op->length; i++) total = (uint8_t)(total + op->text[i]);
  return total;
}
static void flip(struct wg_aead_op *op) {
  for (uint32_t i = 0; i < op->length; i++) op->text[i] ^= (uint8_t)(op->key[i % WG_KEY_SIZE] + op->counter);
}
static void seal(void *state, struct wg_aead_op *ops, int count) {
  (void)state;
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    memset(op->text + op->length, sum(op), WG_TAG_SIZE);
    flip(op);
    op->ok = 1;
  }
}
static void unseal(void *state, struct wg_aead_op *ops, int count) {
  (void)state;
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    flip(op);
    op->ok = op->text[op->length] == sum(op);
  }
}
static void *create(const char **why) {
  (void)why;
  return malloc(1);
}
static const struct wg_aead STAND_IN = {"stand-in", create, free, seal, unseal};
void *wg_aead_make(const struct wg_aead *aead, const char **why) { return aead->create(why); }

/* ---- batches ---- */

struct slab {
  uint8_t input[PACKETS * ROOM], output[PACKETS * ROOM];
  int32_t seal_jobs[PACKETS * SEAL_STRIDE], open_jobs[PACKETS * OPEN_STRIDE], desc[2];
  int count, key, state; /* 0: free, 1: sealing, 2: opening, 3: writing */
  uint32_t number;
};

static struct slab slabs[SLABS];
static uint32_t sent, written; /* only tails touch them, one at a time in each queue */
static uint64_t seed;

static uint32_t below(uint32_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % limit;
}

static int64_t send_tail(void *device, struct wg_span output, int32_t *desc, uint8_t *endpoints, int32_t count) {
  struct slab *s = device;
  (void)endpoints;
  CHECK(output.bytes == s->output && desc == s->desc && count == 1);
  CHECK(s->number == sent);
  for (int i = 0; i < s->count; i++) CHECK(s->output[i * ROOM] == 4);
  sent++;
  return s->number % 3 == 0;
}

static int64_t write_tail(void *device, struct wg_span output, int32_t *desc, uint8_t *endpoints, int32_t count) {
  struct slab *s = device;
  (void)output, (void)desc, (void)endpoints, (void)count;
  CHECK(s->number == written);
  for (int i = 0; i < s->count; i++) CHECK(memcmp(s->output + i * ROOM + 16, s->input + i * ROOM + WG_VNET_HEADER_SIZE, PACKET) == 0);
  written++;
  return 0;
}

static void fill(struct slab *s, uint32_t number) {
  s->number = number;
  s->count = 1 + (int)below(PACKETS);
  s->key = (int)below(KEYS);
  for (int i = 0; i < s->count; i++) {
    uint8_t *packet = s->input + i * ROOM;
    memset(packet, 0, WG_VNET_HEADER_SIZE);
    packet += WG_VNET_HEADER_SIZE;
    for (int b = 0; b < PACKET; b++) packet[b] = (uint8_t)(number + (uint32_t)(i * b));
    packet[0] = 0x45;
    wg_put_be16(packet + 2, PACKET);
    int32_t *job = s->seal_jobs + i * SEAL_STRIDE;
    memset(job, 0, SEAL_STRIDE * sizeof *job);
    job[SEAL_OFFSET] = i * ROOM;
    job[SEAL_LENGTH] = WG_VNET_HEADER_SIZE + PACKET;
    job[SEAL_KEY] = s->key;
    job[SEAL_COUNTER_LOW] = (int32_t)number;
    job[SEAL_COUNT] = 1;
    job[SEAL_OUT_OFFSET] = i * ROOM;
    job[SEAL_MTU] = 1420;
    job[SEAL_OUT_LENGTH] = job[SEAL_OUT_SEGMENT] = PACKET + 32;
    int32_t *open = s->open_jobs + i * OPEN_STRIDE;
    open[OPEN_OFFSET] = i * ROOM;
    open[OPEN_LENGTH] = PACKET + 32;
    open[OPEN_KEY] = s->key;
    open[OPEN_COUNTER_LOW] = (int32_t)number;
    open[OPEN_COUNTER_HIGH] = 0;
  }
}

static void lend(struct wg_lanes *lanes, struct slab *s, int queue) {
  struct wg_work work = {
      .input = {s->input, sizeof s->input},
      .output = {s->output, sizeof s->output},
      .jobs = queue == WG_QUEUE_SEAL ? s->seal_jobs : s->open_jobs,
      .count = queue == WG_QUEUE_WRITE ? 0 : (size_t)s->count,
      .tail = {.run = queue == WG_QUEUE_SEAL ? send_tail : write_tail, .device = queue == WG_QUEUE_OPEN ? NULL : s, .desc = s->desc, .count = 1},
  };
  s->state = queue + 1;
  CHECK(wg_lanes_lend(lanes, queue, &work));
}

/* The oldest slab in a state: queues return their batches in order. */
static struct slab *oldest(int state) {
  struct slab *found = NULL;
  for (int i = 0; i < SLABS; i++)
    if (slabs[i].state == state && (!found || slabs[i].number < found->number)) found = &slabs[i];
  CHECK(found);
  return found;
}

static void collect(struct wg_lanes *lanes, int64_t *errors) {
  struct wg_lanes_back back;
  wg_lanes_done(lanes, &back);
  CHECK(!back.refused && !back.gone);
  *errors += back.errors[WG_QUEUE_SEAL];
  for (int i = 0; i < back.batches[WG_QUEUE_WRITE]; i++) oldest(3)->state = 0;
  for (int i = 0; i < back.batches[WG_QUEUE_OPEN]; i++) {
    struct slab *s = oldest(2);
    for (int j = 0; j < s->count; j++) CHECK(s->open_jobs[j * OPEN_STRIDE + OPEN_RESULT] == PACKET);
    lend(lanes, s, WG_QUEUE_WRITE);
  }
  for (int i = 0; i < back.batches[WG_QUEUE_SEAL]; i++) lend(lanes, oldest(1), WG_QUEUE_OPEN);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  seed = strtoull(argv[1], NULL, 10);
  uint32_t batches = (uint32_t)strtoul(argv[2], NULL, 10), lent = 0;
  int64_t errors = 0;
  struct wg_key_table keys = {0};
  struct wg_lane own;
  for (int i = 0; i < KEYS; i++) {
    uint8_t key[WG_KEY_SIZE];
    memset(key, i + 1, sizeof key);
    CHECK(wg_key_set(&keys, i, key));
  }
  CHECK(wg_lane_open(&own, &STAND_IN, &keys));
  struct wg_lanes *lanes = wg_lanes_open(&own, THREADS);
  CHECK(lanes);
  for (uint32_t done = 0; done < batches;) {
    for (int i = 0; i < SLABS && lent < batches; i++) {
      if (slabs[i].state != 0) continue;
      fill(&slabs[i], lent++);
      lend(lanes, &slabs[i], WG_QUEUE_SEAL);
    }
    switch (below(6)) {
      case 0: wg_lanes_next(lanes); break;
      case 1: wg_lanes_help(lanes); break;
      case 2: wg_lanes_watch(lanes); break;
      case 3: { /* a key changes while no lane uses it, and gets its old value back */
        uint8_t key[WG_KEY_SIZE];
        int slot = (int)below(KEYS);
        memset(key, slot + 1, sizeof key);
#ifndef WITHOUT_REST
        wg_lanes_rest(lanes);
#endif
        wg_key_erase(&keys, slot);
        CHECK(wg_key_set(&keys, slot, key));
        break;
      }
      case 4: wg_lanes_settle(lanes); break;
      default: break;
    }
    uint64_t times[2];
    wg_lanes_times(lanes, &times[0], &times[1]);
    collect(lanes, &errors);
    if (lent < batches) continue;
    wg_lanes_settle(lanes);
    /* the tails rest now */
    done = written;
  }
  wg_lanes_close(lanes);
  wg_lanes_close(lanes);
  struct wg_work none = {0};
  CHECK(!wg_lanes_lend(lanes, WG_QUEUE_SEAL, &none));
  wg_lanes_unref(lanes);
  wg_lane_close(&own);
  wg_key_clear(&keys);
  CHECK(sent == batches && errors == (batches + 2) / 3);
  return 0;
}
