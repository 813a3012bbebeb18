/* BLAKE2s (RFC 7693) and its HMAC by the OpenSSL inside Node, for handshakes: blake2sOpen,
 * blake2sHash, blake2sMac, blake2sHmac, blake2sKdf. They work in place in the caller's Uint8Array.
 * Except blake2sOpen, no call creates an object; one blake2sKdf call derives up to three keys.
 * Without OpenSSL, the functions are not exported. If OpenSSL lacks BLAKE2s, blake2sOpen returns
 * undefined. */
#define _GNU_SOURCE
#include "addon.h"
#include "libcrypto.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_SIZE = 32, MAC_SIZE = 16, MAX_MAC_KEY = 32, MAX_KEYS = 3 };
static const napi_type_tag KIND = {WG_TAG, 0x626c616b653273};

static struct {
  void *(*md_fetch)(void *library, const char *name, const char *properties);
  void (*md_free)(void *md);
  void *(*md_ctx_new)(void);
  void (*md_ctx_free)(void *ctx);
  int (*init)(void *ctx, const void *md, void *engine);
  int (*update)(void *ctx, const void *data, size_t length);
  int (*final)(void *ctx, uint8_t *out, unsigned int *length);
  void *(*mac_fetch)(void *library, const char *name, const char *properties);
  void (*mac_free)(void *mac);
  void *(*mac_ctx_new)(void *mac);
  void (*mac_ctx_free)(void *ctx);
  int (*mac_params)(void *ctx, const struct ossl_param *params);
  int (*mac_init)(void *ctx, const uint8_t *key, size_t length, const struct ossl_param *params);
  int (*mac_update)(void *ctx, const uint8_t *data, size_t length);
  int (*mac_final)(void *ctx, uint8_t *out, size_t *length, size_t room);
  void (*clear_error)(void);
} evp;

struct blake2s {
  void *md, *hash, *mac, *hmac;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int found;

static void find_evp(void) {
  const struct wg_symbol symbols[] = {
      {"EVP_MD_fetch", (void **)&evp.md_fetch},           {"EVP_MD_free", (void **)&evp.md_free},
      {"EVP_MD_CTX_new", (void **)&evp.md_ctx_new},       {"EVP_MD_CTX_free", (void **)&evp.md_ctx_free},
      {"EVP_DigestInit_ex", (void **)&evp.init},          {"EVP_DigestUpdate", (void **)&evp.update},
      {"EVP_DigestFinal_ex", (void **)&evp.final},        {"EVP_MAC_fetch", (void **)&evp.mac_fetch},
      {"EVP_MAC_free", (void **)&evp.mac_free},           {"EVP_MAC_CTX_new", (void **)&evp.mac_ctx_new},
      {"EVP_MAC_CTX_free", (void **)&evp.mac_ctx_free},   {"EVP_MAC_CTX_set_params", (void **)&evp.mac_params},
      {"EVP_MAC_init", (void **)&evp.mac_init},           {"EVP_MAC_update", (void **)&evp.mac_update},
      {"EVP_MAC_final", (void **)&evp.mac_final},         {"ERR_clear_error", (void **)&evp.clear_error},
  };
  found = WG_FIND_SYMBOLS(symbols);
}

static void destroy(struct blake2s *b) {
  if (b->md) evp.md_free(b->md);
  if (b->hash) evp.md_ctx_free(b->hash);
  if (b->mac) evp.mac_ctx_free(b->mac);
  if (b->hmac) evp.mac_ctx_free(b->hmac);
  free(b);
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  destroy(data);
}

static void *mac_ctx(const char *name, const struct ossl_param *params) {
  void *mac = evp.mac_fetch(NULL, name, NULL);
  if (!mac) return NULL;
  void *ctx = evp.mac_ctx_new(mac);
  evp.mac_free(mac); /* the context holds its own reference */
  if (!ctx || evp.mac_params(ctx, params) == 1) return ctx;
  evp.mac_ctx_free(ctx);
  return NULL;
}

/* blake2sOpen(): returns OpenSSL contexts that only one thread at a time may use; undefined if this
 * OpenSSL lacks BLAKE2s. */
static napi_value blake2s_open(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  struct blake2s *b = calloc(1, sizeof *b);
  if (!b) return wg_undefined(env);
  size_t size = MAC_SIZE;
  char digest[] = "BLAKE2S-256";
  struct ossl_param sized[] = {{"size", OSSL_PARAM_UNSIGNED_INTEGER, &size, sizeof size, 0}, {0}};
  struct ossl_param digested[] = {{"digest", OSSL_PARAM_UTF8_STRING, digest, sizeof digest - 1, 0}, {0}};
  b->md = evp.md_fetch(NULL, digest, NULL);
  b->hash = b->md ? evp.md_ctx_new() : NULL;
  b->mac = mac_ctx("BLAKE2SMAC", sized);
  b->hmac = mac_ctx("HMAC", digested);
  if (b->hash && b->mac && b->hmac && (result = wg_make_handle(env, b, finalize, &KIND))) return result;
  evp.clear_error();
  destroy(b);
  return wg_undefined(env);
}

/* Reads the handle, the scratch array and `count` sizes. Returns NULL with an exception pending. */
static struct blake2s *read_arguments(napi_env env, napi_callback_info info, struct wg_array *scratch, int32_t *sizes, int count) {
  napi_value arguments[4];
  if (!wg_arguments(env, info, arguments, 2 + (size_t)count)) return NULL;
  struct blake2s *b = wg_handle(env, arguments[0], &KIND);
  if (!b || !wg_array(env, arguments[1], napi_uint8_array, scratch)) return NULL;
  int64_t sum = 0;
  for (int i = 0; i < count; i++) {
    if (!wg_int(env, arguments[2 + i], &sizes[i])) return NULL;
    sum += sizes[i] < 0 ? INT32_MAX : sizes[i];
  }
  if (scratch->length >= HASH_SIZE * (1 + MAX_KEYS) && sum <= (int64_t)scratch->length) return b;
  wg_throw_type(env, "sizes exceed the scratch array");
  return NULL;
}

static napi_value done(napi_env env, int ok) {
  if (ok) return wg_undefined(env);
  evp.clear_error();
  napi_throw_error(env, NULL, "OpenSSL could not hash");
  return NULL;
}

/* blake2sHash(blake2s, scratch, length): hashes the first `length` bytes of the scratch array and
 * writes the hash to its start. */
static napi_value blake2s_hash(napi_env env, napi_callback_info info) {
  struct wg_array scratch;
  int32_t length;
  struct blake2s *b = read_arguments(env, info, &scratch, &length, 1);
  if (!b) return NULL;
  return done(env, evp.init(b->hash, b->md, NULL) == 1 && evp.update(b->hash, scratch.data, (size_t)length) == 1 &&
                       evp.final(b->hash, scratch.data, NULL) == 1);
}

/* Computes a MAC. If `key` is NULL, the context's previous key is used again. */
static int mac(void *ctx, const uint8_t *key, size_t key_length, const uint8_t *data, size_t length, uint8_t *out, size_t room) {
  size_t written;
  return evp.mac_init(ctx, key, key_length, NULL) == 1 && evp.mac_update(ctx, data, length) == 1 &&
         evp.mac_final(ctx, out, &written, room) == 1 && written == room;
}

/* blake2sMac(blake2s, scratch, keyLength, length): computes keyed BLAKE2s with 16 bytes. The
 * scratch array holds the key, then the data. */
static napi_value blake2s_mac(napi_env env, napi_callback_info info) {
  struct wg_array scratch;
  int32_t sizes[2];
  struct blake2s *b = read_arguments(env, info, &scratch, sizes, 2);
  if (!b) return NULL;
  if (sizes[0] < 1 || sizes[0] > MAX_MAC_KEY) return wg_throw_type(env, "a mac key has 1 to 32 bytes");
  uint8_t *bytes = scratch.data;
  return done(env, mac(b->mac, bytes, (size_t)sizes[0], bytes + sizes[0], (size_t)sizes[1], bytes, MAC_SIZE));
}

/* Replaces the HMAC context's key with zeros, so that the context holds no secret. */
static const uint8_t NO_KEY[HASH_SIZE];
static int forget_key(struct blake2s *b) { return evp.mac_init(b->hmac, NO_KEY, sizeof NO_KEY, NULL) == 1; }

/* blake2sHmac(blake2s, scratch, keyLength, length): computes HMAC-BLAKE2s-256. The scratch array
 * holds the key, then the data. */
static napi_value blake2s_hmac(napi_env env, napi_callback_info info) {
  struct wg_array scratch;
  int32_t sizes[2];
  struct blake2s *b = read_arguments(env, info, &scratch, sizes, 2);
  if (!b) return NULL;
  uint8_t *bytes = scratch.data;
  int ok = mac(b->hmac, bytes, (size_t)sizes[0], bytes + sizes[0], (size_t)sizes[1], bytes, HASH_SIZE);
  return done(env, forget_key(b) && ok);
}

/* blake2sKdf(blake2s, scratch, length, keys): computes the whitepaper's Kdf_n. The scratch array
 * holds the chaining key (32 bytes), then the input. The 1 to 3 derived keys replace them; the rest
 * of the input is erased. */
static napi_value blake2s_kdf(napi_env env, napi_callback_info info) {
  struct wg_array scratch;
  int32_t sizes[2];
  struct blake2s *b = read_arguments(env, info, &scratch, sizes, 2);
  if (!b) return NULL;
  size_t length = (size_t)sizes[0];
  int keys = sizes[1];
  if (keys < 1 || keys > MAX_KEYS || HASH_SIZE + length > scratch.length) return wg_throw_type(env, "sizes exceed the scratch array");
  uint8_t *bytes = scratch.data, secret[HASH_SIZE], input[HASH_SIZE + 1];
  int ok = mac(b->hmac, bytes, HASH_SIZE, bytes + HASH_SIZE, length, secret, HASH_SIZE);
  explicit_bzero(bytes, HASH_SIZE + length);
  for (int n = 0; ok && n < keys; n++) {
    uint8_t *before = n ? bytes + (n - 1) * HASH_SIZE : NULL;
    if (before) memcpy(input, before, HASH_SIZE);
    size_t from = before ? 0 : HASH_SIZE; /* no key precedes the first one */
    input[HASH_SIZE] = (uint8_t)(n + 1);
    ok = mac(b->hmac, n ? NULL : secret, n ? 0 : HASH_SIZE, input + from, sizeof input - from, bytes + n * HASH_SIZE, HASH_SIZE);
  }
  explicit_bzero(secret, sizeof secret);
  explicit_bzero(input, sizeof input);
  return done(env, forget_key(b) && ok);
}

static int is_available(void) { return pthread_once(&once, find_evp) == 0 && found; }

static const struct wg_function FUNCTIONS[] = {
    {"blake2sOpen", blake2s_open},
    {"blake2sHash", blake2s_hash},
    {"blake2sMac", blake2s_mac},
    {"blake2sHmac", blake2s_hmac},
    {"blake2sKdf", blake2s_kdf},
    {NULL, NULL},
};
const struct wg_exports wg_exports_blake2s = {FUNCTIONS, is_available};
