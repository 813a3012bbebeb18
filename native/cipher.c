/* The transport cipher for JavaScript: seals and opens in batches. src/protocol/transport-cipher.ts
 * defines the jobs, src/protocol/transport-twin.ts the results.
 *
 * Numbers from JavaScript are not trusted: every offset, length and slot is checked against its
 * array. A job that does not fit gets the result 0 or -1, as in the twin. Only arguments of the
 * wrong type throw. */
#define _GNU_SOURCE
#include "addon.h"
#include "aead.h"
#include "bytes.h"
#include "key-table.h"
#include "offload.h"
#include <stdlib.h>
#include <string.h>

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
enum { HEADER_SIZE = 16, OVERHEAD = HEADER_SIZE + WG_TAG_SIZE, MESSAGE_TRANSPORT = 4 };
/* The largest UDP payload (src/packet/transport.ts). */
enum { LARGEST_DATAGRAM = 65535 - 8 };

static const napi_type_tag KIND = {WG_TAG, 0x7767636970686572};

struct cipher {
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
  int32_t offset = job[SEAL_OFFSET], length = job[SEAL_LENGTH], mtu = job[SEAL_MTU], start = job[SEAL_OUT_OFFSET];
  const uint8_t *key = wg_key_get(&c->keys, job[SEAL_KEY]);
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
    if (c->queued == WG_AEAD_BATCH) flush_seal(c);
    c->ops[c->queued++] = (struct wg_aead_op){.key = key, .text = text, .counter = counter, .length = padded, .user = job};
    out += OVERHEAD + padded;
  }
}

static void open_job(struct cipher *c, struct span slab, int32_t *job) {
  int32_t offset = job[OPEN_OFFSET], length = job[OPEN_LENGTH];
  const uint8_t *key = wg_key_get(&c->keys, job[OPEN_KEY]);
  if (!key || length < OVERHEAD || !inside(slab, offset, length)) return;
  if (c->queued == WG_AEAD_BATCH) flush_open(c);
  c->ops[c->queued++] = (struct wg_aead_op){
      .key = key,
      .text = slab.bytes + offset + HEADER_SIZE,
      .counter = counter_of(job[OPEN_COUNTER_LOW], job[OPEN_COUNTER_HIGH]),
      .length = (uint32_t)(length - OVERHEAD),
      .user = job,
  };
}

/* ---- arguments ---- */

static int get_cipher(napi_env env, napi_value value, struct cipher **cipher) { return (*cipher = wg_handle(env, value, &KIND)) != NULL; }

static int get_bytes(napi_env env, napi_value value, struct span *span) {
  struct wg_array array;
  if (!wg_array(env, value, napi_uint8_array, &array)) return 0;
  *span = (struct span){array.data, array.length};
  return 1;
}

/* Reads an array of jobs and the number of jobs to process, which is limited to the size of the
 * array. */
static int get_jobs(napi_env env, const napi_value *values, size_t stride, int32_t **jobs, size_t *count) {
  struct wg_array array;
  int64_t number = 0;
  if (!wg_array(env, values[0], napi_int32_array, &array)) return 0;
  if (napi_get_value_int64(env, values[1], &number) != napi_ok) {
    wg_throw_type(env, "not a number");
    return 0;
  }
  *jobs = array.data;
  *count = number < 0 ? 0 : array.length / stride;
  if (number >= 0 && (uint64_t)number < *count) *count = (size_t)number;
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

/* cipherCreate(provider): returns a cipher; undefined if the provider is not available or fails its
 * self-test. */
static napi_value cipher_create(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  char name[32] = "";
  size_t length;
  if (!wg_arguments(env, info, &argument, 1)) return NULL;
  if (napi_get_value_string_utf8(env, argument, name, sizeof name, &length) != napi_ok) {
    return wg_throw_type(env, "not a string");
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
    c->aead = wg_aead_all[i];
    c->state = state;
    if ((result = wg_make_handle(env, c, release, &KIND))) return result;
    release(env, c, NULL);
    return NULL;
  }
  return wg_undefined(env);
}

/* Reads a cipher, a slot (-1 if it is not a number) and an array. */
static int get_key(napi_env env, napi_callback_info info, struct cipher **c, int64_t *slot, struct span *key) {
  napi_value arguments[3];
  if (!wg_arguments(env, info, arguments, 3) || !get_cipher(env, arguments[0], c)) return 0;
  if (napi_get_value_int64(env, arguments[1], slot) != napi_ok) *slot = -1;
  return get_bytes(env, arguments[2], key);
}

/* cipherSetKey(cipher, slot, key): returns true, or false if the slot is out of range or there is
 * no memory. */
static napi_value cipher_set_key(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  struct cipher *c;
  struct span key;
  int64_t slot;
  if (!get_key(env, info, &c, &slot, &key)) return NULL;
  napi_get_boolean(env, key.length == WG_KEY_SIZE && wg_key_set(&c->keys, slot, key.bytes), &result);
  return result;
}

/* cipherEraseKey(cipher, slot): overwrites the key and empties the slot. */
static napi_value cipher_erase_key(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct cipher *c;
  int64_t slot = -1;
  if (!wg_arguments(env, info, arguments, 2) || !get_cipher(env, arguments[0], &c)) return NULL;
  napi_get_value_int64(env, arguments[1], &slot);
  wg_key_erase(&c->keys, slot);
  return wg_undefined(env);
}

/* cipherCopyKey(cipher, slot, into): copies the key into 32 bytes. Returns false, and copies
 * nothing, for an empty slot and for an array of another size. */
static napi_value cipher_copy_key(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  struct cipher *c;
  struct span into;
  int64_t slot;
  if (!get_key(env, info, &c, &slot, &into)) return NULL;
  const uint8_t *key = into.length == WG_KEY_SIZE ? wg_key_get(&c->keys, slot) : NULL;
  if (key) memcpy(into.bytes, key, WG_KEY_SIZE);
  napi_get_boolean(env, key != NULL, &result);
  return result;
}

/* cipherSeal(cipher, input, output, jobs, count): seals packets of `input` into messages in
 * `output`. */
static napi_value cipher_seal(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  struct cipher *c;
  struct span input, output;
  int32_t *jobs;
  size_t count;
  if (!wg_arguments(env, info, arguments, 5) || !get_cipher(env, arguments[0], &c) ||
      !get_bytes(env, arguments[1], &input) || !get_bytes(env, arguments[2], &output) ||
      !get_jobs(env, arguments + 3, SEAL_STRIDE, &jobs, &count))
    return NULL;
  int apart = !input.length || !output.length || input.bytes + input.length <= output.bytes ||
              output.bytes + output.length <= input.bytes;
  for (size_t i = 0; i < count; i++) {
    int32_t *job = jobs + i * SEAL_STRIDE;
    job[SEAL_OUT_LENGTH] = job[SEAL_OUT_SEGMENT] = 0;
    if (apart) seal_job(c, input, output, job);
  }
  flush_seal(c);
  return wg_undefined(env);
}

/* cipherOpen(cipher, slab, jobs, count): opens messages in place. */
static napi_value cipher_open(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct cipher *c;
  struct span slab;
  int32_t *jobs;
  size_t count;
  if (!wg_arguments(env, info, arguments, 4) || !get_cipher(env, arguments[0], &c) ||
      !get_bytes(env, arguments[1], &slab) || !get_jobs(env, arguments + 2, OPEN_STRIDE, &jobs, &count))
    return NULL;
  for (size_t i = 0; i < count; i++) {
    int32_t *job = jobs + i * OPEN_STRIDE;
    job[OPEN_RESULT] = -1;
    open_job(c, slab, job);
  }
  flush_open(c);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"cipherCreate", cipher_create},
    {"cipherSetKey", cipher_set_key},
    {"cipherEraseKey", cipher_erase_key},
    {"cipherCopyKey", cipher_copy_key},
    {"cipherSeal", cipher_seal},
    {"cipherOpen", cipher_open},
    {NULL, NULL},
};
const struct wg_exports wg_exports_cipher = {FUNCTIONS, NULL};
