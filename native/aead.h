/* ChaCha20-Poly1305 (RFC 8439) in batches, in place, without associated data. The nonce is
 * WireGuard's: four zero bytes and a 64-bit counter. There are several providers. A provider is not
 * used if this machine lacks it or if it fails the self-test at its creation (aead.c). */
#ifndef WG_AEAD_H
#define WG_AEAD_H
#include <stddef.h>
#include <stdint.h>

enum { WG_KEY_SIZE = 32, WG_TAG_SIZE = 16 };

struct wg_aead_op {
  const uint8_t *key;
  uint8_t *text; /* processed in place; the tag follows it */
  uint64_t counter;
  uint32_t length; /* bytes of the text without tag */
  uint32_t ok;     /* set by opening: whether the tag was right */
  void *user;      /* for the caller only */
};

/* The largest number of operations in one call. The texts of a call must not overlap. */
enum { WG_AEAD_BATCH = 32 };

struct wg_aead {
  const char *name;
  /* Creates the working state of one cipher. Only one thread at a time may use it. Returns NULL,
   * with the reason in *why, if the provider is not available here. */
  void *(*create)(const char **why);
  void (*destroy)(void *state);
  void (*seal)(void *state, struct wg_aead_op *ops, int count);
  void (*open)(void *state, struct wg_aead_op *ops, int count);
};

extern const struct wg_aead wg_aead_openssl, wg_aead_openssl_parts, wg_aead_ipsec_mb;

/* All providers, in the order in which listings show them; ends with NULL. */
extern const struct wg_aead *const wg_aead_all[];

/* Creates a state and runs the self-test. Returns NULL, with the reason in *why, if the provider
 * must not be used. */
void *wg_aead_make(const struct wg_aead *aead, const char **why);
/* Returns the nanoseconds that a packet of 1424 bytes takes: the best of a few short runs. Serves
 * to choose a provider. */
double wg_aead_speed(const struct wg_aead *aead, void *state);

/* Returns nonzero if two tags differ. The time does not depend on where they differ. */
static inline uint32_t wg_tags_differ(const uint8_t *a, const uint8_t *b) {
  uint32_t bits = 0;
  for (int i = 0; i < WG_TAG_SIZE; i++) bits |= (uint32_t)(a[i] ^ b[i]);
  return bits;
}
#endif
