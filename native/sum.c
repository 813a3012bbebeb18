/* The sum and copy of bytes.h, compiled once more for AVX2, which most x86-64 machines have and no compiler may count on: payloads of
 * 1400 bytes take half the time. */
#include "bytes.h"

static uint64_t plain(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return out ? wg_sum_and_copy(sum, p, length, out) : wg_sum(sum, p, length);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t avx2(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return out ? wg_sum_and_copy(sum, p, length, out) : wg_sum_and_copy(sum, p, length, NULL);
}

uint64_t wg_sum_long(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return __builtin_cpu_supports("avx2") ? avx2(sum, p, length, out) : plain(sum, p, length, out);
}
#else
uint64_t wg_sum_long(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) { return plain(sum, p, length, out); }
#endif
