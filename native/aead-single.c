/* Single ChaCha20-Poly1305 operations (RFC 8439) with associated data, for handshakes: aeadState,
 * aeadSeal and aeadOpen. Packets go through cipher.c in batches. Like aead-openssl.c, this file
 * uses the OpenSSL inside Node; without OpenSSL, the functions are not exported. They work in place
 * in the caller's Uint8Array, which holds the key (32 bytes), the nonce (12), the associated data
 * and the text. */
#define _GNU_SOURCE
#include "addon.h"
#include "libcrypto.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 32, NONCE_SIZE = 12, TAG_SIZE = 16, FRONT = KEY_SIZE + NONCE_SIZE };
/* From openssl/evp.h. */
enum { EVP_CTRL_AEAD_GET_TAG = 0x10, EVP_CTRL_AEAD_SET_TAG = 0x11 };
static const napi_type_tag KIND = {WG_TAG, 0x61656164};

static struct {
  void *(*ctx_new)(void);
  void (*ctx_free)(void *ctx);
  const void *(*cipher)(void);
  int (*ctrl)(void *ctx, int type, int argument, void *pointer);
  void (*clear_error)(void);
  /* serves both directions: the last argument is 1 to encrypt, 0 to decrypt, or -1 to keep the
   * direction */
  int (*init)(void *ctx, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv, int encrypt);
  int (*update)(void *ctx, uint8_t *out, int *written, const uint8_t *in, int length);
  int (*final)(void *ctx, uint8_t *out, int *written);
} evp;

struct aead {
  void *ctx;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int found;

static void find_evp(void) {
  const struct wg_symbol symbols[] = {
      {"EVP_CIPHER_CTX_new", (void **)&evp.ctx_new},      {"EVP_CIPHER_CTX_free", (void **)&evp.ctx_free},
      {"EVP_chacha20_poly1305", (void **)&evp.cipher},    {"EVP_CIPHER_CTX_ctrl", (void **)&evp.ctrl},
      {"ERR_clear_error", (void **)&evp.clear_error},     {"EVP_CipherInit_ex", (void **)&evp.init},
      {"EVP_CipherUpdate", (void **)&evp.update},         {"EVP_CipherFinal_ex", (void **)&evp.final},
  };
  found = WG_FIND_SYMBOLS(symbols);
}

static void destroy(struct aead *aead) {
  if (aead->ctx) evp.ctx_free(aead->ctx);
  free(aead);
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  destroy(data);
}

/* aeadState(): returns a working state that one thread at a time may use; undefined if this OpenSSL
 * lacks the cipher. */
static napi_value aead_state(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  struct aead *aead = calloc(1, sizeof *aead);
  if (!aead) return wg_undefined(env);
  const void *cipher = evp.cipher();
  aead->ctx = cipher ? evp.ctx_new() : NULL;
  /* looks up the cipher once; later calls change only key, nonce and direction */
  if (aead->ctx && evp.init(aead->ctx, cipher, NULL, NULL, NULL, 1) == 1 &&
      (result = wg_make_handle(env, aead, finalize, &KIND)))
    return result;
  evp.clear_error();
  destroy(aead);
  return wg_undefined(env);
}

struct message {
  uint8_t *key, *aad, *text;
  int aad_length, length; /* of the text without tag */
};

/* Reads the arguments: state, scratch array, size of the associated data, size of the text without
 * tag. Returns NULL with an exception pending. */
static struct aead *read_arguments(napi_env env, napi_callback_info info, struct message *message) {
  napi_value arguments[4];
  struct wg_array scratch;
  if (!wg_arguments(env, info, arguments, 4)) return NULL;
  struct aead *aead = wg_handle(env, arguments[0], &KIND);
  if (!aead || !wg_array(env, arguments[1], napi_uint8_array, &scratch) || !wg_int(env, arguments[2], &message->aad_length) ||
      !wg_int(env, arguments[3], &message->length))
    return NULL;
  if (message->aad_length < 0 || message->length < 0 ||
      FRONT + (int64_t)message->aad_length + message->length + TAG_SIZE > (int64_t)scratch.length) {
    wg_throw_type(env, "sizes exceed the scratch array");
    return NULL;
  }
  message->key = scratch.data;
  message->aad = message->key + FRONT;
  message->text = message->aad + message->aad_length;
  return aead;
}

static int run(void *ctx, const struct message *m, int encrypt) {
  int written;
  uint8_t *tag = m->text + m->length;
  return evp.init(ctx, NULL, NULL, m->key, m->key + KEY_SIZE, encrypt) == 1 &&
         (encrypt || evp.ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1) &&
         /* skip an empty aad or text: OpenSSL could take it as the end of the message */
         (m->aad_length == 0 || evp.update(ctx, NULL, &written, m->aad, m->aad_length) == 1) &&
         (m->length == 0 || (evp.update(ctx, m->text, &written, m->text, m->length) == 1 && written == m->length)) &&
         evp.final(ctx, tag, &written) == 1 && (!encrypt || evp.ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag) == 1);
}

/* Erases key and nonce, and also the text if `text` is set. The context keeps no key either. */
static void clean(struct aead *aead, const struct message *m, int text) {
  static const uint8_t NO_KEY[FRONT];
  explicit_bzero(m->key, FRONT);
  if (text) explicit_bzero(m->text, (size_t)m->length);
  if (evp.init(aead->ctx, NULL, NULL, NO_KEY, NO_KEY, -1) != 1) evp.clear_error();
}

/* aeadSeal(state, scratch, aadLength, length): appends the tag to the text. */
static napi_value aead_seal(napi_env env, napi_callback_info info) {
  struct message m;
  struct aead *aead = read_arguments(env, info, &m);
  if (!aead) return NULL;
  int ok = run(aead->ctx, &m, 1);
  clean(aead, &m, !ok);
  if (ok) return wg_undefined(env);
  evp.clear_error();
  napi_throw_error(env, NULL, "OpenSSL could not seal");
  return NULL;
}

/* aeadOpen(state, scratch, aadLength, length): decrypts the text, which the tag follows. Returns 1
 * if the tag is right, else 0 and erases the text. */
static napi_value aead_open(napi_env env, napi_callback_info info) {
  struct message m;
  struct aead *aead = read_arguments(env, info, &m);
  if (!aead) return NULL;
  int ok = run(aead->ctx, &m, 0);
  if (!ok) evp.clear_error();
  clean(aead, &m, !ok);
  return wg_number(env, ok);
}

static int is_available(void) { return pthread_once(&once, find_evp) == 0 && found; }

static const struct wg_function FUNCTIONS[] = {
    {"aeadState", aead_state},
    {"aeadSeal", aead_seal},
    {"aeadOpen", aead_open},
    {NULL, NULL},
};
const struct wg_exports wg_exports_aead_single = {FUNCTIONS, is_available};
