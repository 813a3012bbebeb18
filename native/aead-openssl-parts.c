/* AEAD by the OpenSSL inside Node, like aead-openssl.c, but built from the two parts that RFC 8439
 * section 2.8 combines. OpenSSL's own interface (EVP) adds more than a third to the cost of a
 * packet.
 *
 * ChaCha20_ctr32 and Poly1305_* are not in OpenSSL's headers, but they have not changed since
 * 1.1.0, and every node binary with its own OpenSSL exports them. If one is missing or the
 * self-test fails (aead.c), aead-openssl.c is used instead. */
#define _GNU_SOURCE
#include "aead.h"
#include "bytes.h"
#include "libcrypto.h"
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64, PAD = 16, LARGEST = 4096 };

typedef void chacha_fn(uint8_t *out, const uint8_t *in, size_t length, const uint32_t key[8], const uint32_t counter[4]);

struct state {
  chacha_fn *chacha;
  void (*poly_init)(void *ctx, const uint8_t key[32]);
  void (*poly_update)(void *ctx, const uint8_t *in, size_t length);
  void (*poly_final)(void *ctx, uint8_t tag[WG_TAG_SIZE]);
  void (*cleanse)(void *pointer, size_t length);
  size_t poly_size;
  void *poly;
  uint8_t room[BLOCK + LARGEST]; /* block 0, followed by a text */
};

static void destroy(void *pointer) {
  struct state *s = pointer;
  if (s->poly) s->cleanse(s->poly, s->poly_size);
  s->cleanse(s->room, sizeof s->room);
  free(s->poly);
  free(s);
}

static void *create(const char **why) {
  struct state *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  size_t (*size)(void) = NULL;
  const struct wg_symbol symbols[] = {
      {"ChaCha20_ctr32", (void **)&s->chacha},        {"Poly1305_Init", (void **)&s->poly_init},
      {"Poly1305_Update", (void **)&s->poly_update},  {"Poly1305_Final", (void **)&s->poly_final},
      {"Poly1305_ctx_size", (void **)&size},          {"OPENSSL_cleanse", (void **)&s->cleanse},
  };
  if (!WG_FIND_SYMBOLS(symbols)) {
    *why = "this Node does not export the parts of its OpenSSL";
    free(s);
    return NULL;
  }
  s->poly_size = size();
  if (s->poly_size < 4096) s->poly = aligned_alloc(64, (s->poly_size + 63) & ~(size_t)63);
  if (s->poly) return s;
  *why = "out of memory";
  free(s);
  return NULL;
}

/* Computes the tag of `text`. The one-time key is at the start of block 0 (sections 2.6 and
 * 2.8). */
static void tag_of(struct state *s, const uint8_t *text, uint32_t length, uint8_t tag[WG_TAG_SIZE]) {
  static const uint8_t zeros[PAD];
  uint8_t end[PAD + PAD] = {0};
  uint32_t pad = (PAD - length % PAD) % PAD;
  s->poly_init(s->poly, s->room);
  s->poly_update(s->poly, text, length);
  if (pad) s->poly_update(s->poly, zeros, pad);
  wg_put_le32(end + 8, length);
  s->poly_update(s->poly, end, PAD);
  s->poly_final(s->poly, tag);
}

/* Applies the key stream in place, beginning with the given block. */
static void stream(struct state *s, const struct wg_aead_op *op, uint32_t block, uint8_t *bytes, size_t length) {
  uint32_t key[8], counter[4] = {block, 0, (uint32_t)op->counter, (uint32_t)(op->counter >> 32)};
  memcpy(key, op->key, sizeof key);
  s->chacha(bytes, bytes, length, key, counter);
}

/* Computes block 0 at the start of the room. A single block costs as much as eight blocks of a
 * longer run. A text of usual size therefore goes into the same run: it is copied behind 64 zeros,
 * which become block 0. The copy is needed because the caller's array may have no room before the
 * text. */
static void begin(struct state *s, const struct wg_aead_op *op) {
  size_t text = op->length <= LARGEST ? op->length : 0;
  memset(s->room, 0, BLOCK);
  memcpy(s->room + BLOCK, op->text, text);
  stream(s, op, 0, s->room, BLOCK + text);
}

/* Replaces the text with its encrypted or decrypted form. */
static void finish(struct state *s, const struct wg_aead_op *op) {
  if (op->length <= LARGEST) memcpy(op->text, s->room + BLOCK, op->length);
  else stream(s, op, 1, op->text, op->length);
}

static void seal(void *pointer, struct wg_aead_op *ops, int count) {
  struct state *s = pointer;
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    begin(s, op);
    finish(s, op);
    tag_of(s, op->text, op->length, op->text + op->length);
    op->ok = 1;
  }
  s->cleanse(s->room, BLOCK);
}

static void open_(void *pointer, struct wg_aead_op *ops, int count) {
  struct state *s = pointer;
  uint8_t tag[WG_TAG_SIZE];
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    begin(s, op);
    tag_of(s, op->text, op->length, tag);
    op->ok = !wg_tags_differ(tag, op->text + op->length);
    if (op->ok) finish(s, op);
  }
  s->cleanse(s->room, sizeof s->room);
}

const struct wg_aead wg_aead_openssl_parts = {"openssl-parts", create, destroy, seal, open_};
