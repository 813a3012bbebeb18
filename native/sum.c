/* The sum and copy of bytes.h, compiled once more for AVX2, which most x86-64 machines have and no compiler may count on: payloads of
 * 1400 bytes take half the time. */
#include "bytes.h"

/* Two loops, so that the one without a copy does not ask at every turn. */
static inline __attribute__((always_inline)) uint64_t either(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return out ? wg_sum_and_copy(sum, p, length, out) : wg_sum_and_copy(sum, p, length, NULL);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t avx2(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return either(sum, p, length, out);
}
#endif

uint64_t wg_sum_long(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return avx2(sum, p, length, out);
#endif
  return either(sum, p, length, out);
}
