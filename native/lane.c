/* Seals and opens jobs in one thread: see lane.h. */
#define _GNU_SOURCE
#include "lane.h"
#include "bytes.h"
#include "offload.h"
#include <string.h>

enum { HEADER_SIZE = 16, OVERHEAD = HEADER_SIZE + WG_TAG_SIZE, MESSAGE_TRANSPORT = 4 };
/* The largest UDP payload (src/packet/transport.ts). */
enum { LARGEST_DATAGRAM = 65535 - 8 };

int wg_lane_open(struct wg_lane *lane, const struct wg_aead *aead, const struct wg_key_table *keys) {
  const char *why;
  *lane = (struct wg_lane){.aead = aead, .state = wg_aead_make(aead, &why), .keys = keys};
  return lane->state != NULL;
}

void wg_lane_close(struct wg_lane *lane) {
  if (lane->state) lane->aead->destroy(lane->state);
  explicit_bzero(lane, sizeof *lane);
}

static void flush_seal(struct wg_lane *lane) {
  if (lane->queued) lane->aead->seal(lane->state, lane->ops, lane->queued);
  for (int i = 0; i < lane->queued; i++)
    if (!lane->ops[i].ok) ((int32_t *)lane->ops[i].user)[SEAL_OUT_LENGTH] = 0;
  lane->queued = 0;
}

static void flush_open(struct wg_lane *lane) {
  if (lane->queued) lane->aead->open(lane->state, lane->ops, lane->queued);
  for (int i = 0; i < lane->queued; i++)
    if (lane->ops[i].ok) ((int32_t *)lane->ops[i].user)[OPEN_RESULT] = (int32_t)lane->ops[i].length;
  lane->queued = 0;
}

static int inside(struct wg_span span, int64_t offset, int64_t length) {
  return offset >= 0 && length >= 0 && (uint64_t)offset + (uint64_t)length <= span.length;
}

static uint64_t counter_of(int32_t low, int32_t high) { return (uint64_t)(uint32_t)high << 32 | (uint32_t)low; }

static void seal_job(struct wg_lane *lane, struct wg_span input, struct wg_span output, int32_t *job) {
  int32_t offset = job[SEAL_OFFSET], length = job[SEAL_LENGTH], mtu = job[SEAL_MTU], start = job[SEAL_OUT_OFFSET];
  const uint8_t *key = wg_key_get(lane->keys, job[SEAL_KEY]);
  if (!key || length < WG_VNET_HEADER_SIZE || !inside(input, offset, length)) return;
  struct wg_split plan = {.count = 1};
  uint64_t total = OVERHEAD;
  int keepalive = length == WG_VNET_HEADER_SIZE;
  if (!keepalive) {
    wg_split_plan(&plan, input.bytes + offset, (size_t)length);
    total = wg_sealed_size(&plan, mtu);
  }
  if (!plan.count || (int64_t)plan.count != job[SEAL_COUNT] || !inside(output, start, (int64_t)total)) return;
  if (!keepalive && wg_message_size(&plan, mtu) > LARGEST_DATAGRAM) return;
  uint64_t counter = counter_of(job[SEAL_COUNTER_LOW], job[SEAL_COUNTER_HIGH]);
  if (counter > UINT64_MAX - (plan.count - 1)) return; /* the counter would wrap to zero */
  uint8_t *out = output.bytes + start;
  job[SEAL_OUT_LENGTH] = (int32_t)total;
  for (uint32_t i = 0; i < plan.count; i++, counter++) {
    uint8_t *text = out + HEADER_SIZE;
    uint32_t bare = keepalive ? 0 : wg_split_write(&plan, i, text);
    uint32_t padded = wg_padded_length(bare, mtu);
    memset(text + bare, 0, padded - bare);
    wg_put_le32(out, MESSAGE_TRANSPORT);
    wg_put_le32(out + 4, (uint32_t)job[SEAL_RECEIVER]);
    wg_put_le32(out + 8, (uint32_t)counter);
    wg_put_le32(out + 12, (uint32_t)(counter >> 32));
    if (i == 0) job[SEAL_OUT_SEGMENT] = (int32_t)(OVERHEAD + padded);
    if (lane->queued == WG_AEAD_BATCH) flush_seal(lane);
    lane->ops[lane->queued++] = (struct wg_aead_op){.key = key, .text = text, .counter = counter, .length = padded, .user = job};
    out += OVERHEAD + padded;
  }
}

static void open_job(struct wg_lane *lane, struct wg_span slab, int32_t *job) {
  int32_t offset = job[OPEN_OFFSET], length = job[OPEN_LENGTH];
  const uint8_t *key = wg_key_get(lane->keys, job[OPEN_KEY]);
  if (!key || length < OVERHEAD || !inside(slab, offset, length)) return;
  if (lane->queued == WG_AEAD_BATCH) flush_open(lane);
  lane->ops[lane->queued++] = (struct wg_aead_op){
      .key = key,
      .text = slab.bytes + offset + HEADER_SIZE,
      .counter = counter_of(job[OPEN_COUNTER_LOW], job[OPEN_COUNTER_HIGH]),
      .length = (uint32_t)(length - OVERHEAD),
      .user = job,
  };
}

void wg_lane_seal(struct wg_lane *lane, struct wg_span input, struct wg_span output, int32_t *jobs, size_t count) {
  int apart = !input.length || !output.length || input.bytes + input.length <= output.bytes ||
              output.bytes + output.length <= input.bytes;
  for (size_t i = 0; i < count; i++) {
    int32_t *job = jobs + i * SEAL_STRIDE;
    job[SEAL_OUT_LENGTH] = job[SEAL_OUT_SEGMENT] = 0;
    if (apart) seal_job(lane, input, output, job);
  }
  flush_seal(lane);
}

void wg_lane_unseal(struct wg_lane *lane, struct wg_span slab, int32_t *jobs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int32_t *job = jobs + i * OPEN_STRIDE;
    job[OPEN_RESULT] = -1;
    open_job(lane, slab, job);
  }
  flush_open(lane);
}
