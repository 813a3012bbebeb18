/* AEAD by the OpenSSL inside Node (libcrypto.h), through its interface EVP. */
#define _GNU_SOURCE
#include "aead.h"
#include "libcrypto.h"
#include <stdlib.h>
#include <string.h>

/* From openssl/evp.h. The numbers have not changed since OpenSSL 1.1.0. */
enum { EVP_CTRL_AEAD_GET_TAG = 0x10, EVP_CTRL_AEAD_SET_TAG = 0x11 };

typedef int init_fn(void *ctx, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv);
typedef int update_fn(void *ctx, uint8_t *out, int *written, const uint8_t *in, int length);
typedef int final_fn(void *ctx, uint8_t *out, int *written);

struct state {
  void *(*ctx_new)(void);
  void (*ctx_free)(void *ctx);
  const void *(*cipher)(void);
  int (*ctrl)(void *ctx, int type, int argument, void *pointer);
  void (*clear_error)(void);
  init_fn *encrypt_init, *decrypt_init;
  update_fn *encrypt_update, *decrypt_update;
  final_fn *encrypt_final, *decrypt_final;
  void *encrypt, *decrypt;
};

static void destroy(void *pointer) {
  struct state *s = pointer;
  if (s->encrypt) s->ctx_free(s->encrypt);
  if (s->decrypt) s->ctx_free(s->decrypt);
  free(s);
}

static void *create(const char **why) {
  struct state *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  const struct wg_symbol symbols[] = {
      {"EVP_CIPHER_CTX_new", (void **)&s->ctx_new},
      {"EVP_CIPHER_CTX_free", (void **)&s->ctx_free},
      {"EVP_chacha20_poly1305", (void **)&s->cipher},
      {"EVP_CIPHER_CTX_ctrl", (void **)&s->ctrl},
      {"ERR_clear_error", (void **)&s->clear_error},
      {"EVP_EncryptInit_ex", (void **)&s->encrypt_init},
      {"EVP_DecryptInit_ex", (void **)&s->decrypt_init},
      {"EVP_EncryptUpdate", (void **)&s->encrypt_update},
      {"EVP_DecryptUpdate", (void **)&s->decrypt_update},
      {"EVP_EncryptFinal_ex", (void **)&s->encrypt_final},
      {"EVP_DecryptFinal_ex", (void **)&s->decrypt_final},
  };
  if (!WG_FIND_SYMBOLS(symbols)) {
    *why = "this Node does not export OpenSSL";
    free(s);
    return NULL;
  }
  /* looks up the cipher once; later calls change only key and nonce */
  const void *cipher = s->cipher();
  s->encrypt = s->ctx_new();
  s->decrypt = s->ctx_new();
  if (cipher && s->encrypt && s->decrypt && s->encrypt_init(s->encrypt, cipher, NULL, NULL, NULL) == 1 &&
      s->decrypt_init(s->decrypt, cipher, NULL, NULL, NULL) == 1)
    return s;
  *why = "OpenSSL has no ChaCha20-Poly1305 (FIPS mode?)";
  s->clear_error();
  destroy(s);
  return NULL;
}

static void set_nonce(uint8_t nonce[12], uint64_t counter) {
  for (int i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

static void seal(void *pointer, struct wg_aead_op *ops, int count) {
  struct state *s = pointer;
  uint8_t nonce[12] = {0};
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    int written = 0;
    set_nonce(nonce, op->counter);
    op->ok = s->encrypt_init(s->encrypt, NULL, NULL, op->key, nonce) == 1 &&
             (op->length == 0 || s->encrypt_update(s->encrypt, op->text, &written, op->text, (int)op->length) == 1) &&
             s->encrypt_final(s->encrypt, op->text + op->length, &written) == 1 &&
             s->ctrl(s->encrypt, EVP_CTRL_AEAD_GET_TAG, WG_TAG_SIZE, op->text + op->length) == 1;
    if (op->ok) continue;
    /* out of memory: erase the text, so that no plaintext is sent */
    memset(op->text, 0, op->length + WG_TAG_SIZE);
    s->clear_error();
  }
}

static void open_(void *pointer, struct wg_aead_op *ops, int count) {
  struct state *s = pointer;
  uint8_t nonce[12] = {0};
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    int written = 0;
    set_nonce(nonce, op->counter);
    op->ok = s->decrypt_init(s->decrypt, NULL, NULL, op->key, nonce) == 1 &&
             s->ctrl(s->decrypt, EVP_CTRL_AEAD_SET_TAG, WG_TAG_SIZE, op->text + op->length) == 1 &&
             (op->length == 0 || s->decrypt_update(s->decrypt, op->text, &written, op->text, (int)op->length) == 1) &&
             s->decrypt_final(s->decrypt, op->text + op->length, &written) == 1;
    if (!op->ok) s->clear_error();
  }
}

const struct wg_aead wg_aead_openssl = {"openssl", create, destroy, seal, open_};
