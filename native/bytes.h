/* Reads and writes integers at unaligned addresses, and computes the Internet checksum (RFC 1071).
 * It sums 16-bit words in host byte order: section 2B allows either order if all terms use it. */
#ifndef WG_BYTES_H
#define WG_BYTES_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t wg_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t wg_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint16_t wg_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline void wg_put_be16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}
static inline void wg_put_be32(uint8_t *p, uint32_t v) {
  wg_put_be16(p, v >> 16);
  wg_put_be16(p + 2, v);
}
static inline void wg_put_le16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}
static inline void wg_put_le32(uint8_t *p, uint32_t v) {
  wg_put_le16(p, v);
  wg_put_le16(p + 2, v >> 16);
}

/* Returns the word whose bytes in memory are the number in network order (htons). */
static inline uint16_t wg_net16(uint32_t v) {
  uint8_t b[2];
  uint16_t word;
  wg_put_be16(b, v);
  memcpy(&word, b, 2);
  return word;
}
static inline uint16_t wg_word(const uint8_t *p) {
  uint16_t word;
  memcpy(&word, p, 2);
  return word;
}
static inline void wg_put_word(uint8_t *p, uint16_t word) { memcpy(p, &word, 2); }

/* Four 64-bit lanes. The compiler maps this vector type to AVX2, SSE2, NEON or scalar code. */
typedef uint64_t wg_lanes __attribute__((vector_size(32), aligned(1), may_alias));

/* Adds a range to a sum and returns the result. If `out` is given, also copies the range there,
 * while its words are in registers. For payloads call wg_sum_long, which is the same code compiled
 * for the machine's best vector unit. */
static inline __attribute__((always_inline)) uint64_t wg_sum_and_copy(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  const uint64_t half = 0xffffffff;
  wg_lanes low = {0}, high = {0};
  for (; length >= 64; length -= 64, p += 64) {
    wg_lanes a = *(const wg_lanes *)p, b = *(const wg_lanes *)(p + 32);
    low += (a & half) + (b & half);
    high += (a >> 32) + (b >> 32);
    if (out) {
      *(wg_lanes *)out = a;
      *(wg_lanes *)(out + 32) = b;
      out += 64;
    }
  }
  low += high;
  sum += low[0] + low[1] + low[2] + low[3];
  for (; length >= 4; length -= 4, p += 4) {
    uint32_t word;
    memcpy(&word, p, 4);
    sum += word;
    if (out) {
      memcpy(out, &word, 4);
      out += 4;
    }
  }
  if (!length) return sum;
  uint8_t rest[4] = {0, 0, 0, 0};
  memcpy(rest, p, length);
  if (out) memcpy(out, rest, length);
  return sum + wg_word(rest) + wg_word(rest + 2);
}

uint64_t wg_sum_long(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out);

static inline uint64_t wg_sum(uint64_t sum, const uint8_t *p, size_t length) { return wg_sum_and_copy(sum, p, length, NULL); }

/* Folds a sum into 16 bits by adding its carries, without complementing it. Sums stay far below
 * 2^63. */
static inline uint16_t wg_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}
static inline uint16_t wg_checksum(uint64_t sum) { return (uint16_t)~wg_fold(sum); }
#endif
