/* X25519 (RFC 7748) by the OpenSSL inside Node, with keys as they are, not as KeyObjects: x25519Key, x25519Shared, x25519Fresh. They work in
 * place in a Uint8Array of the caller's, where no call makes an object for its result; many are shared out over the cores.
 * Where OpenSSL is not to be had the functions are not exported. */
#define _GNU_SOURCE
#include "addon.h"
#include "share-out.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 32, EVP_PKEY_X25519 = 1034 }; /* the last: NID_X25519 in openssl/obj_mac.h */
static const uint64_t MAGIC = 0x783235353139;

static struct {
  void *(*new_private)(int type, void *engine, const uint8_t *key, size_t length);
  void *(*new_public)(int type, void *engine, const uint8_t *key, size_t length);
  int (*get_public)(const void *key, uint8_t *out, size_t *length);
  void (*free)(void *key);
  void *(*ctx_new)(void *key, void *engine);
  void (*ctx_free)(void *ctx);
  int (*derive_init)(void *ctx);
  int (*set_peer)(void *ctx, void *peer);
  int (*derive)(void *ctx, uint8_t *out, size_t *length);
  void (*clear_error)(void);
} evp;

/* A private key, prepared. */
struct key {
  uint64_t magic;
  void *pkey;
};

static int find_evp(void) {
  const struct {
    const char *name;
    void **slot;
  } symbols[] = {
      {"EVP_PKEY_new_raw_private_key", (void **)&evp.new_private},
      {"EVP_PKEY_new_raw_public_key", (void **)&evp.new_public},
      {"EVP_PKEY_get_raw_public_key", (void **)&evp.get_public},
      {"EVP_PKEY_free", (void **)&evp.free},
      {"EVP_PKEY_CTX_new", (void **)&evp.ctx_new},
      {"EVP_PKEY_CTX_free", (void **)&evp.ctx_free},
      {"EVP_PKEY_derive_init", (void **)&evp.derive_init},
      {"EVP_PKEY_derive_set_peer", (void **)&evp.set_peer},
      {"EVP_PKEY_derive", (void **)&evp.derive},
      {"ERR_clear_error", (void **)&evp.clear_error},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
    if (!(*symbols[i].slot = dlsym(RTLD_DEFAULT, symbols[i].name))) return 0;
  return 1;
}

/* Puts the shared secret in the place of the public key; all zero if OpenSSL refuses, as it does a point of low order. */
static void share(void *pkey, uint8_t *public_key) {
  size_t length = KEY_SIZE;
  void *theirs = evp.new_public(EVP_PKEY_X25519, NULL, public_key, KEY_SIZE);
  void *ctx = theirs ? evp.ctx_new(pkey, NULL) : NULL;
  if (!ctx || evp.derive_init(ctx) != 1 || evp.set_peer(ctx, theirs) != 1 || evp.derive(ctx, public_key, &length) != 1 ||
      length != KEY_SIZE) {
    memset(public_key, 0, KEY_SIZE);
    evp.clear_error();
  }
  if (ctx) evp.ctx_free(ctx);
  if (theirs) evp.free(theirs);
}

static void *import_private(uint8_t *key) {
  void *pkey = evp.new_private(EVP_PKEY_X25519, NULL, key, KEY_SIZE);
  if (!pkey) evp.clear_error();
  return pkey;
}

static int put_public(void *pkey, uint8_t *out) {
  size_t length = KEY_SIZE;
  return evp.get_public(pkey, out, &length) == 1 && length == KEY_SIZE;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct key *key = data;
  evp.free(key->pkey); /* overwrites it */
  free(key);
}

/* A Uint8Array with room for `want` bytes; 0 with an exception pending. */
static int read_scratch(napi_env env, napi_value value, int64_t want, struct wg_array *scratch) {
  if (!wg_array(env, value, napi_uint8_array, scratch)) return 0;
  if (want >= 0 && want <= (int64_t)scratch->length) return 1;
  wg_throw_type(env, "no room for so many keys");
  return 0;
}

/* x25519Key(scratch): takes the private key in the first 32 bytes, and puts the public key there. @returns the prepared key */
static napi_value x25519_key(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  struct wg_array scratch;
  if (!wg_arguments(env, info, &argument, 1) || !read_scratch(env, argument, KEY_SIZE, &scratch)) return NULL;
  struct key *key = malloc(sizeof *key);
  void *pkey = key ? import_private(scratch.data) : NULL;
  if (pkey && put_public(pkey, scratch.data)) {
    *key = (struct key){MAGIC, pkey};
    if (napi_create_external(env, key, finalize, NULL, &result) == napi_ok) return result;
  }
  if (pkey) evp.free(pkey);
  free(key);
  napi_throw_error(env, NULL, "OpenSSL does not take an X25519 key");
  return NULL;
}

struct shared_work {
  void *pkey;
  uint8_t *publics;
};

static void shared_item(void *argument, int i) {
  const struct shared_work *work = argument;
  share(work->pkey, work->publics + (size_t)i * KEY_SIZE);
}

/* x25519Shared(key, scratch, count): so many public keys, one behind another, become shared secrets; all zero stands for none. */
static napi_value x25519_shared(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct wg_array scratch;
  int32_t count;
  if (!wg_arguments(env, info, arguments, 3)) return NULL;
  struct key *key = wg_handle(env, arguments[0], MAGIC);
  if (!key || !wg_int(env, arguments[2], &count) || !read_scratch(env, arguments[1], (int64_t)count * KEY_SIZE, &scratch)) return NULL;
  wg_share_out(shared_item, &(struct shared_work){key->pkey, scratch.data}, count);
  return wg_undefined(env);
}

struct fresh_work {
  uint8_t *groups;
  size_t publics;
};

static void fresh_item(void *argument, int i) {
  const struct fresh_work *work = argument;
  uint8_t *group = work->groups + (size_t)i * (1 + work->publics) * KEY_SIZE;
  void *pkey = import_private(group);
  int ok = pkey && put_public(pkey, group);
  for (size_t k = 1; ok && k <= work->publics; k++) share(pkey, group + k * KEY_SIZE);
  if (pkey) evp.free(pkey);
  if (!ok) memset(group, 0, (1 + work->publics) * KEY_SIZE);
}

/* x25519Fresh(scratch, groups, publics): each group is a private key and so many public keys. The private key becomes its public key, the
 * public keys become shared secrets; all zero stands for none. For ephemeral keys: nothing of them is kept. */
static napi_value x25519_fresh(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct wg_array scratch;
  int32_t groups, publics;
  if (!wg_arguments(env, info, arguments, 3) || !wg_int(env, arguments[1], &groups) || !wg_int(env, arguments[2], &publics)) return NULL;
  if (publics < 0) return wg_throw_type(env, "a negative number of keys");
  if (!read_scratch(env, arguments[0], (int64_t)groups * ((int64_t)publics + 1) * KEY_SIZE, &scratch)) return NULL;
  wg_share_out(fresh_item, &(struct fresh_work){scratch.data, (size_t)publics}, groups);
  return wg_undefined(env);
}

void wg_export_x25519(napi_env env, napi_value exports) {
  if (!find_evp()) return;
  wg_export(env, exports, "x25519Key", x25519_key);
  wg_export(env, exports, "x25519Shared", x25519_shared);
  wg_export(env, exports, "x25519Fresh", x25519_fresh);
}
