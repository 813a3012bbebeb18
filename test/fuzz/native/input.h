/* What every fuzz target uses: reading numbers from the input, memory of an exact size, checks, and
 * the Internet checksum in its simplest form, as a reference for native/bytes.h. */
#ifndef WG_FUZZ_INPUT_H
#define WG_FUZZ_INPUT_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For loops over many bytes: they show libFuzzer no new code, and counting them would make them
 * slow. */
#define WG_UNCOUNTED __attribute__((no_sanitize("coverage")))

/* libFuzzer calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
  const uint8_t *at;
  size_t left;
};

/* Reads a little-endian number of up to 8 bytes. After the end of the input, all bytes are 0. */
static inline uint64_t take(struct input *in, int bytes) {
  uint64_t number = 0;
  for (int i = 0; i < bytes && in->left; i++, in->left--) number |= (uint64_t)*in->at++ << 8 * i;
  return number;
}

static inline void must(int condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "fault: %s\n", what);
  abort();
}

/* Returns memory of exactly this size, so that the sanitizer detects every access beyond it. */
static inline void *exactly(size_t size) {
  void *memory = malloc(size ? size : 1);
  must(memory != NULL, "out of memory");
  return memory;
}

static inline void *copy_of(const void *from, size_t size) {
  void *copy = exactly(size);
  if (size) memcpy(copy, from, size);
  return copy;
}

/* Writes bytes that differ from their neighbours. */
WG_UNCOUNTED static inline void fill(uint8_t *to, size_t length, size_t seed) {
  for (size_t i = 0; i < length; i++) to[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

/* Adds the big-endian words of a range (RFC 1071); a last odd byte is the upper half of a word. */
WG_UNCOUNTED static inline uint64_t plain_sum(uint64_t sum, const uint8_t *p, size_t length) {
  for (size_t i = 0; i < length; i++) sum += i & 1 ? p[i] : (uint64_t)p[i] << 8;
  return sum;
}
/* 0xffff and 0 are the same sum in ones' complement; this returns 0 for both. */
static inline uint32_t plain_fold(uint64_t sum) { return (uint32_t)(sum % 0xffff); }

/* Returns the sum of the pseudo header of TCP or UDP for a packet without routing header. */
static inline uint64_t plain_pseudo(const uint8_t *packet, uint8_t protocol, uint32_t length) {
  int six = packet[0] >> 4 == 6;
  return plain_sum(protocol + (length >> 16) + (length & 0xffff), packet + (six ? 8 : 12), six ? 32 : 8);
}
#endif
