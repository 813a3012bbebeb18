/* Fuzz target: the table of keys (native/key-table.c) beside a plain array, also when there is no
 * memory.
 *
 * Input: operations. Each is one byte for what to do, then a slot (1, 4 or 8 bytes), and for a key
 * its first byte. */
#include "key-table.h"
#include "input.h"
#include <sys/mman.h>

/* KNOWN: slots that the reference holds, at both ends of the table. */
enum { SET, ERASE, GET, CLEAR, FAIL, OPERATIONS, KNOWN = 1024 };

static int no_memory;

/* The linker gives the table this function in place of mmap. */
void *__real_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  return no_memory ? MAP_FAILED : __real_mmap(at, length, protection, flags, fd, offset);
}

static int64_t take_slot(struct input *in, uint8_t operation) {
  int64_t near = (int64_t)take(in, 1) * 8;
  if (operation & 0x80) return (int64_t)take(in, 8);
  if (operation & 0x40) return WG_KEY_SLOTS - 1 - near;
  return operation & 0x20 ? (int32_t)take(in, 4) : near;
}

/* Returns the place of a slot in the reference; -1 if the reference does not hold it. */
static int place_of(int64_t slot) {
  if (slot >= 0 && slot < KNOWN * 8 && slot % 8 == 0) return (int)(slot / 8);
  if (slot < 0 || slot >= WG_KEY_SLOTS) return -1;
  int64_t back = WG_KEY_SLOTS - 1 - slot;
  return back < KNOWN * 8 && back % 8 == 0 ? KNOWN + (int)(back / 8) : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct wg_key_table table;
  int expected[2 * KNOWN];
  struct input in = {data, size};
  for (int i = 0; i < 2 * KNOWN; i++) expected[i] = -1;
  no_memory = 0;
  while (in.left) {
    uint8_t operation = (uint8_t)take(&in, 1), key[WG_KEY_SIZE];
    int what = (operation & 0x1f) % OPERATIONS;
    if (what == CLEAR) {
      wg_key_clear(&table);
      for (int i = 0; i < 2 * KNOWN; i++) expected[i] = -1;
    }
    if (what == FAIL) no_memory = !no_memory;
    if (what >= CLEAR) continue;
    int64_t slot = take_slot(&in, operation);
    int place = place_of(slot), inside = slot >= 0 && slot < WG_KEY_SLOTS;
    if (what == SET) {
      memset(key, (int)take(&in, 1), sizeof key);
      int done = wg_key_set(&table, slot, key);
      must(done ? inside : !inside || no_memory, "a key is set in every slot of the table");
      if (done && place >= 0) expected[place] = key[0];
    } else if (what == ERASE) {
      must(wg_key_erase(&table, slot) == inside, "every slot of the table can be erased");
      if (place >= 0) expected[place] = -1;
    }
    const uint8_t *got = slot == (int32_t)slot ? wg_key_get(&table, (int32_t)slot) : NULL;
    must(inside || !got, "there is no key outside of the table");
    if (place < 0) continue;
    must((got != NULL) == (expected[place] >= 0), "a slot has a key from setting to erasing");
    for (int i = 0; got && i < WG_KEY_SIZE; i++) must(got[i] == expected[place], "a slot has its own key");
  }
  wg_key_clear(&table);
  for (int i = 0; i < WG_KEY_CHUNKS; i++) must(!table.chunks[i], "clearing frees everything");
  return 0;
}
