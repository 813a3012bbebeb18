/* The transport cipher for JavaScript: seal and open in batches (src/protocol/transport-cipher.ts says what a job is,
 * src/protocol/transport-twin.ts what must come out), and split and merge alone, for tests and benchmarks.
 *
 * JavaScript's numbers are not believed: every offset, length and slot is checked against the arrays it speaks of, and a job
 * that does not fit is refused, 0 or -1, as in the twin. Only arguments of the wrong type throw. */
#define _GNU_SOURCE
#include "addon.h"
#include "aead.h"
#include "bytes.h"
#include "key-table.h"
#include "offload.h"
#include <stdlib.h>
#include <string.h>

/* src/protocol/transport-cipher.ts */
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
enum { HEADER_SIZE = 16, OVERHEAD = HEADER_SIZE + WG_TAG_SIZE, MESSAGE_TRANSPORT = 4 };

static const uint64_t MAGIC = 0x7767636970686572;

struct cipher {
  uint64_t magic;
  const struct wg_aead *aead;
  void *state;
  struct wg_key_table keys;
  struct wg_aead_op ops[WG_AEAD_BATCH];
  int queued;
};

struct span {
  uint8_t *bytes;
  size_t length;
};

/* ---- sealing and opening ---- */

static void flush_seal(struct cipher *c) {
  if (c->queued) c->aead->seal(c->state, c->ops, c->queued);
  for (int i = 0; i < c->queued; i++)
    if (!c->ops[i].ok) ((int32_t *)c->ops[i].user)[SEAL_OUT_LENGTH] = 0;
  c->queued = 0;
}

static void flush_open(struct cipher *c) {
  if (c->queued) c->aead->open(c->state, c->ops, c->queued);
  for (int i = 0; i < c->queued; i++)
    if (c->ops[i].ok) ((int32_t *)c->ops[i].user)[OPEN_RESULT] = (int32_t)c->ops[i].length;
  c->queued = 0;
}

static int inside(struct span span, int64_t offset, int64_t length) {
  return offset >= 0 && length >= 0 && (uint64_t)offset + (uint64_t)length <= span.length;
}

static uint64_t counter_of(int32_t low, int32_t high) { return (uint64_t)(uint32_t)high << 32 | (uint32_t)low; }

static void seal_job(struct cipher *c, struct span input, struct span output, int32_t *job) {
  int32_t length = job[SEAL_LENGTH], mtu = job[SEAL_MTU];
  const uint8_t *key = wg_key_get(&c->keys, job[SEAL_KEY]);
  if (!key || length < WG_VNET_HEADER_SIZE || !inside(input, job[SEAL_OFFSET], length)) return;
  struct wg_split plan = {.count = 1};
  uint64_t total = OVERHEAD;
  int keepalive = length == WG_VNET_HEADER_SIZE;
  if (!keepalive) {
    wg_split_plan(&plan, input.bytes + job[SEAL_OFFSET], (size_t)length);
    total = wg_sealed_size(&plan, mtu);
  }
  if (!plan.count || (int64_t)plan.count != job[SEAL_COUNT] || !inside(output, job[SEAL_OUT_OFFSET], (int64_t)total)) return;
  uint64_t counter = counter_of(job[SEAL_COUNTER_LOW], job[SEAL_COUNTER_HIGH]);
  if (counter > UINT64_MAX - (plan.count - 1)) return; /* it would come round to zero */
  uint8_t *out = output.bytes + job[SEAL_OUT_OFFSET];
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
    if (c->queued == WG_AEAD_BATCH) flush_seal(c);
    c->ops[c->queued++] = (struct wg_aead_op){.key = key, .text = text, .counter = counter, .length = padded, .user = job};
    out += OVERHEAD + padded;
  }
}

static void open_job(struct cipher *c, struct span slab, int32_t *job) {
  int32_t length = job[OPEN_LENGTH];
  const uint8_t *key = wg_key_get(&c->keys, job[OPEN_KEY]);
  if (!key || length < OVERHEAD || !inside(slab, job[OPEN_OFFSET], length)) return;
  if (c->queued == WG_AEAD_BATCH) flush_open(c);
  c->ops[c->queued++] = (struct wg_aead_op){
      .key = key,
      .text = slab.bytes + job[OPEN_OFFSET] + HEADER_SIZE,
      .counter = counter_of(job[OPEN_COUNTER_LOW], job[OPEN_COUNTER_HIGH]),
      .length = (uint32_t)(length - OVERHEAD),
      .user = job,
  };
}

/* ---- arguments ---- */

static napi_value undefined(napi_env env) {
  napi_value value = NULL;
  napi_get_undefined(env, &value);
  return value;
}

static napi_value make_number(napi_env env, int64_t number) {
  napi_value value = NULL;
  napi_create_int64(env, number, &value);
  return value;
}

static int fail(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return 0;
}

static int get_arguments(napi_env env, napi_callback_info info, napi_value *arguments, size_t want) {
  size_t count = want;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok && count >= want) return 1;
  return fail(env, "too few arguments");
}

static int get_cipher(napi_env env, napi_value value, struct cipher **cipher) {
  void *pointer = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external && napi_get_value_external(env, value, &pointer) == napi_ok &&
      pointer && ((struct cipher *)pointer)->magic == MAGIC) {
    *cipher = pointer;
    return 1;
  }
  return fail(env, "not a cipher");
}

static int get_span(napi_env env, napi_value value, napi_typedarray_type want, struct span *span) {
  napi_typedarray_type type;
  size_t elements;
  void *data = NULL;
  bool is = false;
  if (napi_is_typedarray(env, value, &is) != napi_ok || !is) return fail(env, "not a typed array");
  if (napi_get_typedarray_info(env, value, &type, &elements, &data, NULL, NULL) != napi_ok || type != want)
    return fail(env, want == napi_int32_array ? "not an Int32Array" : "not a Uint8Array");
  span->bytes = data;
  span->length = data ? (want == napi_int32_array ? elements * 4 : elements) : 0;
  return 1;
}

/* A number of things, cut to how many of `stride` int32 each fit into the array. */
static int get_count(napi_env env, napi_value value, struct span array, size_t stride, int *count) {
  int64_t number = 0;
  if (napi_get_value_int64(env, value, &number) != napi_ok) return fail(env, "not a number");
  int64_t fit = (int64_t)(array.length / (4 * stride));
  *count = (int)(number < 0 ? 0 : number < fit ? number : fit);
  return 1;
}

/* ---- functions for JavaScript ---- */

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct cipher *c = data;
  wg_key_clear(&c->keys);
  c->aead->destroy(c->state);
  explicit_bzero(c, sizeof *c);
  free(c);
}

/* cipherCreate(provider): a cipher; undefined if that provider is missing or failed its self-test. */
static napi_value cipher_create(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  char name[32] = "";
  size_t length;
  if (!get_arguments(env, info, &argument, 1)) return NULL;
  if (napi_get_value_string_utf8(env, argument, name, sizeof name, &length) != napi_ok) {
    fail(env, "not a string");
    return NULL;
  }
  for (int i = 0; wg_aead_all[i]; i++) {
    const char *why;
    if (strcmp(wg_aead_all[i]->name, name) != 0) continue;
    void *state = wg_aead_make(wg_aead_all[i], &why);
    if (!state) break;
    struct cipher *c = calloc(1, sizeof *c);
    if (!c) {
      wg_aead_all[i]->destroy(state);
      break;
    }
    c->magic = MAGIC;
    c->aead = wg_aead_all[i];
    c->state = state;
    if (napi_create_external(env, c, release, NULL, &result) == napi_ok) return result;
    release(env, c, NULL);
    return NULL;
  }
  return undefined(env);
}

/* cipherProviders(): [{ name, problem: string | undefined, nanoseconds: number | undefined }] after a self-test and short run of each. */
static napi_value cipher_providers(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list = NULL;
  napi_create_array(env, &list);
  for (int i = 0; wg_aead_all[i]; i++) {
    const char *why = NULL;
    void *state = wg_aead_make(wg_aead_all[i], &why);
    napi_value entry, name, problem = undefined(env), nanoseconds = undefined(env);
    if (napi_create_object(env, &entry) != napi_ok) return NULL;
    napi_create_string_utf8(env, wg_aead_all[i]->name, NAPI_AUTO_LENGTH, &name);
    if (state) {
      napi_create_double(env, wg_aead_speed(wg_aead_all[i], state), &nanoseconds);
      wg_aead_all[i]->destroy(state);
    } else {
      napi_create_string_utf8(env, why, NAPI_AUTO_LENGTH, &problem);
    }
    napi_set_named_property(env, entry, "name", name);
    napi_set_named_property(env, entry, "problem", problem);
    napi_set_named_property(env, entry, "nanoseconds", nanoseconds);
    napi_set_element(env, list, (uint32_t)i, entry);
  }
  return list;
}

/* cipherSetKey(cipher, slot, key): whether there was such a slot and memory for it. */
static napi_value cipher_set_key(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result = NULL;
  struct cipher *c;
  struct span key;
  int64_t slot = -1;
  if (!get_arguments(env, info, arguments, 3) || !get_cipher(env, arguments[0], &c)) return NULL;
  napi_get_value_int64(env, arguments[1], &slot);
  if (!get_span(env, arguments[2], napi_uint8_array, &key)) return NULL;
  int done = key.length == WG_KEY_SIZE && wg_key_set(&c->keys, slot, key.bytes);
  napi_get_boolean(env, done, &result);
  return result;
}

/* cipherEraseKey(cipher, slot) */
static napi_value cipher_erase_key(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct cipher *c;
  int64_t slot = -1;
  if (!get_arguments(env, info, arguments, 2) || !get_cipher(env, arguments[0], &c)) return NULL;
  napi_get_value_int64(env, arguments[1], &slot);
  wg_key_erase(&c->keys, slot);
  return undefined(env);
}

/* cipherSeal(cipher, input, output, jobs, count) */
static napi_value cipher_seal(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  struct cipher *c;
  struct span input, output, jobs;
  int count;
  if (!get_arguments(env, info, arguments, 5) || !get_cipher(env, arguments[0], &c) ||
      !get_span(env, arguments[1], napi_uint8_array, &input) || !get_span(env, arguments[2], napi_uint8_array, &output) ||
      !get_span(env, arguments[3], napi_int32_array, &jobs) || !get_count(env, arguments[4], jobs, SEAL_STRIDE, &count))
    return NULL;
  int apart = !input.length || !output.length || input.bytes + input.length <= output.bytes ||
              output.bytes + output.length <= input.bytes;
  for (int i = 0; i < count; i++) {
    int32_t *job = (int32_t *)jobs.bytes + (size_t)i * SEAL_STRIDE;
    job[SEAL_OUT_LENGTH] = job[SEAL_OUT_SEGMENT] = 0;
    if (apart) seal_job(c, input, output, job);
  }
  flush_seal(c);
  return undefined(env);
}

/* cipherOpen(cipher, slab, jobs, count) */
static napi_value cipher_open(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct cipher *c;
  struct span slab, jobs;
  int count;
  if (!get_arguments(env, info, arguments, 4) || !get_cipher(env, arguments[0], &c) ||
      !get_span(env, arguments[1], napi_uint8_array, &slab) || !get_span(env, arguments[2], napi_int32_array, &jobs) ||
      !get_count(env, arguments[3], jobs, OPEN_STRIDE, &count))
    return NULL;
  for (int i = 0; i < count; i++) {
    int32_t *job = (int32_t *)jobs.bytes + (size_t)i * OPEN_STRIDE;
    job[OPEN_RESULT] = -1;
    open_job(c, slab, job);
  }
  flush_open(c);
  return undefined(env);
}

/* offloadSplit(slab, offset, length, out, stride): segments, written `stride` bytes apart; 0: malformed; -1: no room. */
static napi_value offload_split(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  struct span slab, out;
  int64_t offset = -1, length = -1, stride = 0;
  if (!get_arguments(env, info, arguments, 5) || !get_span(env, arguments[0], napi_uint8_array, &slab) ||
      !get_span(env, arguments[3], napi_uint8_array, &out))
    return NULL;
  napi_get_value_int64(env, arguments[1], &offset);
  napi_get_value_int64(env, arguments[2], &length);
  napi_get_value_int64(env, arguments[4], &stride);
  struct wg_split plan;
  if (!inside(slab, offset, length) || !wg_split_plan(&plan, slab.bytes + offset, (size_t)length)) return make_number(env, 0);
  if (stride < wg_split_length(&plan, 0) || stride > INT32_MAX || !inside(out, 0, stride * (int64_t)plan.count)) return make_number(env, -1);
  for (uint32_t i = 0; i < plan.count; i++) wg_split_write(&plan, i, out.bytes + (size_t)stride * i);
  return make_number(env, plan.count);
}

/* offloadMerge(slab, desc, count, allowed, groups, next): the number of groups. */
static napi_value offload_merge(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  struct span slab, desc, groups, next;
  int count, room, links;
  int32_t allowed = 0;
  if (!get_arguments(env, info, arguments, 6) || !get_span(env, arguments[0], napi_uint8_array, &slab) ||
      !get_span(env, arguments[1], napi_int32_array, &desc) || !get_span(env, arguments[4], napi_int32_array, &groups) ||
      !get_span(env, arguments[5], napi_int32_array, &next) ||
      !get_count(env, arguments[2], desc, WG_PACKET_STRIDE, &count) ||
      !get_count(env, arguments[2], groups, WG_GROUP_STRIDE, &room) || !get_count(env, arguments[2], next, 1, &links))
    return NULL;
  napi_get_value_int32(env, arguments[3], &allowed);
  if (room < count) count = room;
  if (links < count) count = links;
  return make_number(env, wg_merge(slab.bytes, slab.length, (const int32_t *)desc.bytes, count, allowed, (int32_t *)groups.bytes,
                                   (int32_t *)next.bytes));
}

void wg_export_cipher(napi_env env, napi_value exports) {
  wg_export(env, exports, "cipherCreate", cipher_create);
  wg_export(env, exports, "cipherProviders", cipher_providers);
  wg_export(env, exports, "cipherSetKey", cipher_set_key);
  wg_export(env, exports, "cipherEraseKey", cipher_erase_key);
  wg_export(env, exports, "cipherSeal", cipher_seal);
  wg_export(env, exports, "cipherOpen", cipher_open);
  wg_export(env, exports, "offloadSplit", offload_split);
  wg_export(env, exports, "offloadMerge", offload_merge);
}
