/* The transport cipher for JavaScript: seals and opens in batches. lane.c does the work.
 *
 * Numbers from JavaScript are not trusted: lane.c checks each of a job. Only arguments of the wrong
 * type throw. Other threads may read the keys (lanes.c), so a key changes only while they rest. */
#define _GNU_SOURCE
#include "cipher.h"
#include "lanes.h"
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

static int get_cipher(napi_env env, napi_value value, struct wg_cipher **cipher) { return (*cipher = wg_handle(env, value, &WG_CIPHER_KIND)) != NULL; }

static int get_bytes(napi_env env, napi_value value, struct wg_span *span) {
  struct wg_array array;
  if (!wg_array(env, value, napi_uint8_array, &array)) return 0;
  *span = (struct wg_span){array.data, array.length};
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
  struct wg_cipher *c = data;
  if (c->lanes) wg_lanes_close(c->lanes);
  wg_lanes_unref(c->lanes);
  wg_key_clear(&c->keys);
  wg_lane_close(&c->lane);
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
    if (strcmp(wg_aead_all[i]->name, name) != 0) continue;
    struct wg_cipher *c = calloc(1, sizeof *c);
    if (!c) break;
    c->aead = wg_aead_all[i];
    if (!wg_lane_open(&c->lane, c->aead, &c->keys)) {
      free(c);
      break;
    }
    if ((result = wg_make_handle(env, c, release, &WG_CIPHER_KIND))) return result;
    release(env, c, NULL);
    return NULL;
  }
  return wg_undefined(env);
}

/* Reads a cipher, a slot (-1 if it is not a number) and an array. */
static int get_key(napi_env env, napi_callback_info info, struct wg_cipher **c, int64_t *slot, struct wg_span *key) {
  napi_value arguments[3];
  if (!wg_arguments(env, info, arguments, 3) || !get_cipher(env, arguments[0], c)) return 0;
  if (napi_get_value_int64(env, arguments[1], slot) != napi_ok) *slot = -1;
  return get_bytes(env, arguments[2], key);
}

/* cipherSetKey(cipher, slot, key): returns true, or false if the slot is out of range or there is
 * no memory. */
static napi_value cipher_set_key(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  struct wg_cipher *c;
  struct wg_span key;
  int64_t slot;
  if (!get_key(env, info, &c, &slot, &key)) return NULL;
  wg_lanes_rest(c->lanes);
  napi_get_boolean(env, key.length == WG_KEY_SIZE && wg_key_set(&c->keys, slot, key.bytes), &result);
  return result;
}

/* cipherEraseKey(cipher, slot): overwrites the key and empties the slot. */
static napi_value cipher_erase_key(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_cipher *c;
  int64_t slot = -1;
  if (!wg_arguments(env, info, arguments, 2) || !get_cipher(env, arguments[0], &c)) return NULL;
  napi_get_value_int64(env, arguments[1], &slot);
  wg_lanes_rest(c->lanes);
  wg_key_erase(&c->keys, slot);
  return wg_undefined(env);
}

/* cipherCopyKey(cipher, slot, into): copies the key into 32 bytes. Returns false, and copies
 * nothing, for an empty slot and for an array of another size. */
static napi_value cipher_copy_key(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  struct wg_cipher *c;
  struct wg_span into;
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
  struct wg_cipher *c;
  struct wg_span input, output;
  int32_t *jobs;
  size_t count;
  if (!wg_arguments(env, info, arguments, 5) || !get_cipher(env, arguments[0], &c) ||
      !get_bytes(env, arguments[1], &input) || !get_bytes(env, arguments[2], &output) ||
      !get_jobs(env, arguments + 3, SEAL_STRIDE, &jobs, &count))
    return NULL;
  wg_lane_seal(&c->lane, input, output, jobs, count);
  return wg_undefined(env);
}

/* cipherOpen(cipher, slab, jobs, count): opens messages in place. */
static napi_value cipher_open(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct wg_cipher *c;
  struct wg_span slab;
  int32_t *jobs;
  size_t count;
  if (!wg_arguments(env, info, arguments, 4) || !get_cipher(env, arguments[0], &c) ||
      !get_bytes(env, arguments[1], &slab) || !get_jobs(env, arguments + 2, OPEN_STRIDE, &jobs, &count))
    return NULL;
  wg_lane_unseal(&c->lane, slab, jobs, count);
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
