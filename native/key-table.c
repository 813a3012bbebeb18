/* Stores keys by slot: see key-table.h. */
#define _GNU_SOURCE
#include "key-table.h"
#include <string.h>
#include <sys/mman.h>

int wg_key_set(struct wg_key_table *table, int64_t slot, const uint8_t key[WG_KEY_SIZE]) {
  if (slot < 0 || slot >= WG_KEY_SLOTS) return 0;
  struct wg_key_chunk **chunk = &table->chunks[slot / WG_KEYS_PER_CHUNK];
  if (!*chunk) {
    void *memory = mmap(NULL, sizeof **chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 0;
    /* both may fail: with an old kernel or a low RLIMIT_MEMLOCK, the table still works */
    (void)madvise(memory, sizeof **chunk, MADV_DONTDUMP);
    (void)mlock(memory, sizeof **chunk);
    *chunk = memory;
  }
  memcpy((*chunk)->keys[slot % WG_KEYS_PER_CHUNK], key, WG_KEY_SIZE);
  (*chunk)->present[slot % WG_KEYS_PER_CHUNK] = 1;
  return 1;
}

int wg_key_erase(struct wg_key_table *table, int64_t slot) {
  if (slot < 0 || slot >= WG_KEY_SLOTS) return 0;
  struct wg_key_chunk *chunk = table->chunks[slot / WG_KEYS_PER_CHUNK];
  if (chunk) {
    explicit_bzero(chunk->keys[slot % WG_KEYS_PER_CHUNK], WG_KEY_SIZE);
    chunk->present[slot % WG_KEYS_PER_CHUNK] = 0;
  }
  return 1;
}

void wg_key_clear(struct wg_key_table *table) {
  for (int i = 0; i < WG_KEY_CHUNKS; i++) {
    if (!table->chunks[i]) continue;
    explicit_bzero(table->chunks[i], sizeof *table->chunks[i]);
    munmap(table->chunks[i], sizeof *table->chunks[i]);
    table->chunks[i] = NULL;
  }
}
