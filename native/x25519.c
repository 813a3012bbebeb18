/* X25519 (RFC 7748) by the OpenSSL inside Node, on raw keys instead of KeyObjects: x25519Key,
 * x25519Shared, x25519Fresh. They work in place in the caller's Uint8Array, so no call creates an
 * object for its result. Calls with many keys use several cores. Without OpenSSL, the functions are
 * not exported. */
#define _GNU_SOURCE
#include "addon.h"
#include "libcrypto.h"
#include "share-out.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 32, KEYS_PER_ITEM = 4, MAX_KEYS = 1 << 20 };
enum { SELECT_KEYPAIR = 0x87 }; /* openssl/evp.h, EVP_PKEY_KEYPAIR */
static const napi_type_tag KIND = {WG_TAG, 0x783235353139};

static struct {
  void *(*ctx_from_name)(void *library, const char *name, const char *properties);
  void *(*ctx_from_key)(void *library, void *key, const char *properties);
  void (*ctx_free)(void *ctx);
  int (*fromdata_init)(void *ctx);
  int (*fromdata)(void *ctx, void **key, int selection, struct ossl_param *params);
  int (*get_public)(const void *key, uint8_t *out, size_t *length);
  int (*set_public)(void *key, const uint8_t *public_key, size_t length);
  void (*free)(void *key);
  int (*derive_init)(void *ctx);
  int (*set_peer)(void *ctx, void *peer, int validate);
  int (*derive)(void *ctx, uint8_t *out, size_t *length);
  void (*clear_error)(void);
} evp;

/* A prepared private key. */
struct key {
  void *pkey;
};

/* OpenSSL objects that each thread creates once: a lookup by name costs a tenth of a
 * multiplication. */
struct made {
  void *import; /* the context that imports keys */
  void *peer;   /* a key whose public half is overwritten with each public key */
};
static _Thread_local struct made mine;
/* Set in each thread that created objects, so that forget() runs when a worker thread ends. */
static pthread_key_t at_end;

static void forget(void *data) {
  struct made *made = data;
  if (made->import) evp.ctx_free(made->import);
  if (made->peer) evp.free(made->peer);
  *made = (struct made){0};
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int found;

static void find_evp(void) {
  const struct wg_symbol symbols[] = {
      {"EVP_PKEY_CTX_new_from_name", (void **)&evp.ctx_from_name},
      {"EVP_PKEY_CTX_new_from_pkey", (void **)&evp.ctx_from_key},
      {"EVP_PKEY_CTX_free", (void **)&evp.ctx_free},
      {"EVP_PKEY_fromdata_init", (void **)&evp.fromdata_init},
      {"EVP_PKEY_fromdata", (void **)&evp.fromdata},
      {"EVP_PKEY_get_raw_public_key", (void **)&evp.get_public},
      {"EVP_PKEY_set1_encoded_public_key", (void **)&evp.set_public},
      {"EVP_PKEY_free", (void **)&evp.free},
      {"EVP_PKEY_derive_init", (void **)&evp.derive_init},
      {"EVP_PKEY_derive_set_peer_ex", (void **)&evp.set_peer},
      {"EVP_PKEY_derive", (void **)&evp.derive},
      {"ERR_clear_error", (void **)&evp.clear_error},
  };
  found = WG_FIND_SYMBOLS(symbols) && pthread_key_create(&at_end, forget) == 0;
}

static void *import_private(uint8_t *key) {
  void *pkey = NULL;
  if (!mine.import) {
    pthread_setspecific(at_end, &mine);
    mine.import = evp.ctx_from_name(NULL, "X25519", NULL);
    if (mine.import && evp.fromdata_init(mine.import) != 1) {
      evp.ctx_free(mine.import);
      mine.import = NULL;
    }
  }
  struct ossl_param params[] = {{"priv", OSSL_PARAM_OCTET_STRING, key, KEY_SIZE, 0}, {0}};
  if (mine.import && evp.fromdata(mine.import, &pkey, SELECT_KEYPAIR, params) == 1) return pkey;
  evp.clear_error();
  return NULL;
}

/* Replaces public keys with shared secrets. A secret is all zero if OpenSSL refuses the key, as it
 * does for a point of low order. */
static void share(void *pkey, uint8_t *publics, size_t count) {
  uint8_t any[KEY_SIZE] = {1};
  if (!mine.peer) mine.peer = import_private(any);
  void *ctx = mine.peer ? evp.ctx_from_key(NULL, pkey, NULL) : NULL;
  int ready = ctx && evp.derive_init(ctx) == 1;
  for (uint8_t *key = publics; key < publics + count * KEY_SIZE; key += KEY_SIZE) {
    size_t length = KEY_SIZE;
    if (ready && evp.set_public(mine.peer, key, KEY_SIZE) == 1 && evp.set_peer(ctx, mine.peer, 0) == 1 &&
        evp.derive(ctx, key, &length) == 1 && length == KEY_SIZE)
      continue;
    memset(key, 0, KEY_SIZE);
    evp.clear_error();
  }
  if (ctx) evp.ctx_free(ctx);
}

static int put_public(void *pkey, uint8_t *out) {
  size_t length = KEY_SIZE;
  return evp.get_public(pkey, out, &length) == 1 && length == KEY_SIZE;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct key *key = data;
  if (key->pkey) evp.free(key->pkey); /* erases it */
  free(key);
}

/* Checks that a Uint8Array has room for `want` bytes. If not, returns 0 with an exception
 * pending. */
static int read_scratch(napi_env env, napi_value value, int64_t want, struct wg_array *scratch) {
  if (!wg_array(env, value, napi_uint8_array, scratch)) return 0;
  if (want >= 0 && want <= (int64_t)scratch->length) return 1;
  wg_throw_type(env, "no room for so many keys");
  return 0;
}

/* x25519Key(scratch): reads a private key from the first 32 bytes, and replaces it with the public
 * key. Returns the prepared key. */
static napi_value x25519_key(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  struct wg_array scratch;
  if (!wg_arguments(env, info, &argument, 1) || !read_scratch(env, argument, KEY_SIZE, &scratch)) return NULL;
  struct key *key = malloc(sizeof *key);
  void *pkey = key ? import_private(scratch.data) : NULL;
  if (pkey && put_public(pkey, scratch.data)) {
    key->pkey = pkey;
    if ((result = wg_make_handle(env, key, finalize, &KIND))) return result;
  }
  if (pkey) evp.free(pkey);
  free(key);
  napi_throw_error(env, NULL, "OpenSSL does not take an X25519 key");
  return NULL;
}

/* Returns a prepared key. Returns NULL with an exception pending for a wrong handle or an erased
 * key. */
static struct key *get_key(napi_env env, napi_value value) {
  struct key *key = wg_handle(env, value, &KIND);
  if (!key || key->pkey) return key;
  wg_throw_type(env, "this key was erased");
  return NULL;
}

/* x25519Erase(key): erases the private key at once instead of at garbage collection. Any later use
 * throws. */
static napi_value x25519_erase(napi_env env, napi_callback_info info) {
  napi_value argument;
  if (!wg_arguments(env, info, &argument, 1)) return NULL;
  struct key *key = get_key(env, argument);
  if (!key) return NULL;
  evp.free(key->pkey);
  key->pkey = NULL;
  return wg_undefined(env);
}

struct shared_work {
  void *pkey;
  uint8_t *publics;
  int count;
};

static void shared_item(void *argument, int i) {
  const struct shared_work *work = argument;
  int from = i * KEYS_PER_ITEM, left = work->count - from;
  share(work->pkey, work->publics + (size_t)from * KEY_SIZE, (size_t)(left < KEYS_PER_ITEM ? left : KEYS_PER_ITEM));
}

/* x25519Shared(key, scratch, count): replaces `count` consecutive public keys with shared secrets.
 * A secret is all zero if OpenSSL refuses the key. */
static napi_value x25519_shared(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct wg_array scratch;
  int32_t count;
  if (!wg_arguments(env, info, arguments, 3)) return NULL;
  struct key *key = get_key(env, arguments[0]);
  if (!key || !wg_int(env, arguments[2], &count) || !read_scratch(env, arguments[1], (int64_t)count * KEY_SIZE, &scratch)) return NULL;
  wg_share_out(shared_item, &(struct shared_work){key->pkey, scratch.data, count}, (count + KEYS_PER_ITEM - 1) / KEYS_PER_ITEM);
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
  if (ok) share(pkey, group + KEY_SIZE, work->publics);
  if (pkey) evp.free(pkey);
  if (!ok) memset(group, 0, (1 + work->publics) * KEY_SIZE);
}

/* x25519Fresh(scratch, groups, publics): for ephemeral keys. Each group is a private key and
 * `publics` public keys. The public key replaces the private key, and the shared secrets replace
 * the public keys. A secret is all zero if OpenSSL refuses. Keeps no copy of the keys. */
static napi_value x25519_fresh(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct wg_array scratch;
  int32_t groups, publics;
  if (!wg_arguments(env, info, arguments, 3) || !wg_int(env, arguments[1], &groups) || !wg_int(env, arguments[2], &publics)) return NULL;
  /* limit both numbers, so that their product cannot overflow */
  int64_t want = groups < 0 || publics < 0 || publics >= MAX_KEYS || groups >= MAX_KEYS ? -1 : (int64_t)groups * (publics + 1) * KEY_SIZE;
  if (!read_scratch(env, arguments[0], want, &scratch)) return NULL;
  wg_share_out(fresh_item, &(struct fresh_work){scratch.data, (size_t)publics}, groups);
  return wg_undefined(env);
}

static int is_available(void) { return pthread_once(&once, find_evp) == 0 && found; }

static const struct wg_function FUNCTIONS[] = {
    {"x25519Key", x25519_key},
    {"x25519Erase", x25519_erase},
    {"x25519Shared", x25519_shared},
    {"x25519Fresh", x25519_fresh},
    {NULL, NULL},
};
const struct wg_exports wg_exports_x25519 = {FUNCTIONS, is_available};
