/* The list of AEAD providers, and the self-test that each provider must pass before it is used. */
#include "aead.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct wg_aead *const wg_aead_all[] = {&wg_aead_ipsec_mb, &wg_aead_openssl_parts, &wg_aead_openssl, NULL};

enum { SIZES = 310, LARGEST_SIZE = 9000, SPEED_SIZE = 1424, SPEED_OPS = 16, SPEED_RUNS = 4 };

/* FNV-1a over all sealed texts and tags of the test. */
static const uint64_t KNOWN_ANSWER = 0x656222983c8e2aae;

/* Returns 0 to 300, which covers every tail length of every vector width, and then some larger
 * sizes. */
static uint32_t test_size(int i) {
  static const uint32_t larger[SIZES - 301] = {511, 512, 1024, 1280, 1424, 1436, 2048, 4097, LARGEST_SIZE};
  return i <= 300 ? (uint32_t)i : larger[i - 301];
}

static uint8_t test_byte(int i, uint32_t j) { return (uint8_t)((uint32_t)i * 131 + j * 7 + (j >> 8) * 13); }

static void fill(struct wg_aead_op *op, int i, const uint8_t keys[2][WG_KEY_SIZE], uint8_t *text) {
  uint32_t length = test_size(i);
  *op = (struct wg_aead_op){.key = keys[i & 1], .text = text, .counter = (uint64_t)i * 0x0123456789abcdef, .length = length};
  for (uint32_t j = 0; j < length; j++) text[j] = test_byte(i, j);
}

static int is_filled(const struct wg_aead_op *op, int i) {
  for (uint32_t j = 0; j < op->length; j++)
    if (op->text[j] != test_byte(i, j)) return 0;
  return 1;
}

/* Seals and opens all sizes, with mixed sizes in each call. Then checks that changed texts are
 * refused. */
static const char *self_test(const struct wg_aead *aead, void *state, uint8_t *memory) {
  uint8_t keys[2][WG_KEY_SIZE];
  for (int k = 0; k < 2 * WG_KEY_SIZE; k++) keys[k / WG_KEY_SIZE][k % WG_KEY_SIZE] = (uint8_t)(k * 11 + 5);
  uint64_t hash = 0xcbf29ce484222325;
  for (int first = 0; first < SIZES; first += WG_AEAD_BATCH) {
    struct wg_aead_op ops[WG_AEAD_BATCH];
    int count = SIZES - first < WG_AEAD_BATCH ? SIZES - first : WG_AEAD_BATCH;
    uint8_t *text = memory;
    for (int i = 0; i < count; i++) {
      fill(ops + i, first + i, keys, text);
      text += ops[i].length + WG_TAG_SIZE;
    }
    aead->seal(state, ops, count);
    for (int i = 0; i < count; i++)
      for (uint32_t j = 0; j < ops[i].length + WG_TAG_SIZE; j++) hash = (hash ^ ops[i].text[j]) * 0x100000001b3;
    aead->open(state, ops, count);
    for (int i = 0; i < count; i++)
      if (!ops[i].ok || !is_filled(ops + i, first + i)) return "does not open what it sealed";
    aead->seal(state, ops, count);
    /* change one bit of each text, alternately in the tag and in the text */
    for (int i = 0; i < count; i++) ops[i].text[(uint32_t)i * 37 % (ops[i].length + WG_TAG_SIZE)] ^= (uint8_t)(1 << i % 8);
    aead->open(state, ops, count);
    for (int i = 0; i < count; i++)
      if (ops[i].ok) return "accepts a forged message";
  }
  return hash == KNOWN_ANSWER ? NULL : "gives wrong answers";
}

void *wg_aead_make(const struct wg_aead *aead, const char **why) {
  *why = "out of memory";
  void *state = aead->create(why);
  if (!state) return NULL;
  uint8_t *memory = malloc((size_t)WG_AEAD_BATCH * (LARGEST_SIZE + WG_TAG_SIZE));
  if (memory) *why = self_test(aead, state, memory);
  free(memory);
  if (!*why) return state;
  aead->destroy(state);
  return NULL;
}

double wg_aead_speed(const struct wg_aead *aead, void *state) {
  static const uint8_t key[WG_KEY_SIZE];
  uint8_t *memory = calloc(SPEED_OPS, SPEED_SIZE + WG_TAG_SIZE);
  double best = 1e9;
  for (int run = 0; memory && run < SPEED_RUNS; run++) {
    struct wg_aead_op ops[SPEED_OPS];
    for (int i = 0; i < SPEED_OPS; i++)
      ops[i] = (struct wg_aead_op){
          .key = key, .text = memory + i * (SPEED_SIZE + WG_TAG_SIZE), .counter = (uint64_t)i, .length = SPEED_SIZE};
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    aead->seal(state, ops, SPEED_OPS);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double each = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / SPEED_OPS;
    if (each < best) best = each;
  }
  free(memory);
  return best;
}
