/* One ChaCha20-Poly1305 (RFC 8439) with associated data, for handshakes: aeadSeal and aeadOpen. Packets go through cipher.c in
 * batches. By the OpenSSL inside Node, as aead-openssl.c. Where that is not to be had the functions are not exported. */
#define _GNU_SOURCE
#include "addon.h"
#include <dlfcn.h>
#include <limits.h>
#include <string.h>

enum { KEY_SIZE = 32, NONCE_SIZE = 12, TAG_SIZE = 16 };
/* openssl/evp.h */
enum { EVP_CTRL_AEAD_GET_TAG = 0x10, EVP_CTRL_AEAD_SET_TAG = 0x11 };

static struct {
  void *(*ctx_new)(void);
  void (*ctx_free)(void *ctx);
  const void *(*cipher)(void);
  int (*ctrl)(void *ctx, int type, int argument, void *pointer);
  void (*clear_error)(void);
  /* one set for both directions: the last argument is 1 to encrypt, 0 to decrypt */
  int (*init)(void *ctx, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv, int encrypt);
  int (*update)(void *ctx, uint8_t *out, int *written, const uint8_t *in, int length);
  int (*final)(void *ctx, uint8_t *out, int *written);
} evp;

static int find_evp(void) {
  const struct {
    const char *name;
    void **slot;
  } symbols[] = {
      {"EVP_CIPHER_CTX_new", (void **)&evp.ctx_new},      {"EVP_CIPHER_CTX_free", (void **)&evp.ctx_free},
      {"EVP_chacha20_poly1305", (void **)&evp.cipher},    {"EVP_CIPHER_CTX_ctrl", (void **)&evp.ctrl},
      {"ERR_clear_error", (void **)&evp.clear_error},     {"EVP_CipherInit_ex", (void **)&evp.init},
      {"EVP_CipherUpdate", (void **)&evp.update},         {"EVP_CipherFinal_ex", (void **)&evp.final},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
    if (!(*symbols[i].slot = dlsym(RTLD_DEFAULT, symbols[i].name))) return 0;
  return evp.cipher() != NULL;
}

/* key, nonce, text, aad: 0 with an exception pending if they are not four Uint8Arrays of the right sizes. */
static int read_arguments(napi_env env, napi_callback_info info, struct wg_array arrays[4]) {
  napi_value values[4];
  if (!wg_arguments(env, info, values, 4)) return 0;
  for (int i = 0; i < 4; i++) {
    if (!wg_array(env, values[i], napi_uint8_array, &arrays[i])) return 0;
    if (arrays[i].length <= INT_MAX - TAG_SIZE) continue;
    wg_throw_type(env, "more than 2 GiB");
    return 0;
  }
  if (arrays[0].length == KEY_SIZE && arrays[1].length == NONCE_SIZE) return 1;
  wg_throw_type(env, "a key has 32 bytes and a nonce 12");
  return 0;
}

static napi_value make_array(napi_env env, size_t length, uint8_t **data) {
  napi_value buffer, array;
  if (napi_create_arraybuffer(env, length, (void **)data, &buffer) == napi_ok &&
      napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array) == napi_ok)
    return array;
  napi_throw_error(env, "ENOMEM", "out of memory for a message");
  return NULL;
}

static int run(void *ctx, const struct wg_array a[4], const uint8_t *text, size_t length, uint8_t *out, int encrypt) {
  int written;
  uint8_t none;
  /* an aad or text of no bytes must not be passed: NULL would mean another thing */
  return (a[3].length == 0 || evp.update(ctx, NULL, &written, a[3].data, (int)a[3].length) == 1) &&
         (length == 0 || (evp.update(ctx, out, &written, text, (int)length) == 1 && written == (int)length)) &&
         evp.final(ctx, encrypt || length ? out + length : &none, &written) == 1;
}

static napi_value aead_seal(napi_env env, napi_callback_info info) {
  struct wg_array a[4];
  if (!read_arguments(env, info, a)) return NULL;
  uint8_t *out = NULL;
  napi_value result = make_array(env, a[2].length + TAG_SIZE, &out);
  if (!result) return NULL;
  void *ctx = evp.ctx_new();
  int ok = ctx && evp.init(ctx, evp.cipher(), NULL, a[0].data, a[1].data, 1) == 1 && run(ctx, a, a[2].data, a[2].length, out, 1) &&
           evp.ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, out + a[2].length) == 1;
  if (ctx) evp.ctx_free(ctx);
  if (ok) return result;
  memset(out, 0, a[2].length + TAG_SIZE);
  evp.clear_error();
  napi_throw_error(env, NULL, "OpenSSL could not seal");
  return NULL;
}

static napi_value aead_open(napi_env env, napi_callback_info info) {
  struct wg_array a[4];
  if (!read_arguments(env, info, a)) return NULL;
  if (a[2].length < TAG_SIZE) return wg_undefined(env);
  size_t length = a[2].length - TAG_SIZE;
  uint8_t *out = NULL, tag[TAG_SIZE];
  memcpy(tag, (const uint8_t *)a[2].data + length, TAG_SIZE);
  napi_value result = make_array(env, length, &out);
  if (!result) return NULL;
  void *ctx = evp.ctx_new();
  int ok = ctx && evp.init(ctx, evp.cipher(), NULL, a[0].data, a[1].data, 0) == 1 &&
           evp.ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 && run(ctx, a, a[2].data, length, out, 0);
  if (ctx) evp.ctx_free(ctx);
  if (ok) return result;
  if (length) memset(out, 0, length);
  evp.clear_error();
  return wg_undefined(env);
}

void wg_export_aead_single(napi_env env, napi_value exports) {
  if (!find_evp()) return;
  wg_export(env, exports, "aeadSeal", aead_seal);
  wg_export(env, exports, "aeadOpen", aead_open);
}
