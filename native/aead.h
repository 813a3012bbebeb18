/* ChaCha20-Poly1305 (RFC 8439) in batches, in place, without associated data, with WireGuard's nonce: four zero bytes and a 64 bit
 * counter. Several providers do it; one that is missing here or gives a wrong answer when it is made is not used (aead.c). */
#ifndef WG_AEAD_H
#define WG_AEAD_H
#include <stddef.h>
#include <stdint.h>

enum { WG_KEY_SIZE = 32, WG_TAG_SIZE = 16 };

struct wg_aead_op {
  const uint8_t *key;
  uint8_t *text; /* in place; the tag stands right behind it */
  uint64_t counter;
  uint32_t length; /* of the text, without tag */
  uint32_t ok;     /* after opening: whether the tag was right */
  void *user;      /* the caller's own */
};

/* The most operations of one call. The texts of a call must not overlap. */
enum { WG_AEAD_BATCH = 32 };

struct wg_aead {
  const char *name;
  /* The working state of one cipher, used by one thread at a time. NULL: not to be had on this machine, *why then says what is missing. */
  void *(*create)(const char **why);
  void (*destroy)(void *state);
  void (*seal)(void *state, struct wg_aead_op *ops, int count);
  void (*open)(void *state, struct wg_aead_op *ops, int count);
};

extern const struct wg_aead wg_aead_openssl, wg_aead_openssl_parts, wg_aead_ipsec_mb;

/* All providers, in the order in which they are shown; ends with NULL. */
extern const struct wg_aead *const wg_aead_all[];

/* Makes a state and tests it. NULL, with the reason in *why, if that provider is not to be used. */
void *wg_aead_make(const struct wg_aead *aead, const char **why);
/* Nanoseconds for one packet of 1424 bytes, the best of a few short runs; for choosing among providers. */
double wg_aead_speed(const struct wg_aead *aead, void *state);

/* Whether two tags are different, in a time that does not depend on where. */
static inline uint32_t wg_tags_differ(const uint8_t *a, const uint8_t *b) {
  uint32_t bits = 0;
  for (int i = 0; i < WG_TAG_SIZE; i++) bits |= (uint32_t)(a[i] ^ b[i]);
  return bits;
}
#endif
