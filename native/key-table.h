/* A table of keys by slot. Its memory is excluded from core dumps and, as far as the limits allow,
 * from swap. The caller assigns the slots, beginning with 0. The table grows by chunks, and a key
 * never moves. */
#ifndef WG_KEY_TABLE_H
#define WG_KEY_TABLE_H
#include "aead.h"

enum { WG_KEY_SLOTS = 1 << 19, WG_KEYS_PER_CHUNK = 512, WG_KEY_CHUNKS = WG_KEY_SLOTS / WG_KEYS_PER_CHUNK };

struct wg_key_chunk {
  uint8_t keys[WG_KEYS_PER_CHUNK][WG_KEY_SIZE];
  uint8_t present[WG_KEYS_PER_CHUNK];
};

struct wg_key_table {
  struct wg_key_chunk *chunks[WG_KEY_CHUNKS];
};

/* Both return 0 for a slot out of range. wg_key_set also returns 0 if there is no memory. */
int wg_key_set(struct wg_key_table *table, int64_t slot, const uint8_t key[WG_KEY_SIZE]);
int wg_key_erase(struct wg_key_table *table, int64_t slot);
/* Overwrites and frees all keys. */
void wg_key_clear(struct wg_key_table *table);

/* Returns NULL for an empty slot and for a slot out of range. */
static inline const uint8_t *wg_key_get(const struct wg_key_table *table, int64_t slot) {
  if (slot < 0 || slot >= WG_KEY_SLOTS) return NULL;
  const struct wg_key_chunk *chunk = table->chunks[slot / WG_KEYS_PER_CHUNK];
  int64_t at = slot % WG_KEYS_PER_CHUNK;
  return chunk && chunk->present[at] ? chunk->keys[at] : NULL;
}
#endif
