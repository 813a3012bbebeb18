/* The sum and copy of bytes.h, compiled once more for AVX2, which most x86-64 machines have and no compiler may count on: payloads of
 * 1400 bytes take half the time. */
#include "bytes.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Two loops, so that the one without a copy does not ask at every turn. */
static inline __attribute__((always_inline)) uint64_t either(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return out ? wg_sum_and_copy(sum, p, length, out) : wg_sum_and_copy(sum, p, length, NULL);
}

#if defined(__x86_64__)
static int has_avx2;

/* Asked of the processor itself: __builtin_cpu_supports needs __cpu_model of libgcc, which the compiler of native/prebuilt does not have. */
__attribute__((constructor)) static void find_avx2(void) {
  unsigned a, b, c, d, saved, above;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return;
  /* whether the system saves the vector registers: XMM and YMM */
  __asm__("xgetbv" : "=a"(saved), "=d"(above) : "c"(0));
  if ((saved & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d)) has_avx2 = (b & bit_AVX2) != 0;
}

__attribute__((target("avx2"))) static uint64_t avx2(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return either(sum, p, length, out);
}
#endif

uint64_t wg_sum_long(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
#if defined(__x86_64__)
  if (has_avx2) return avx2(sum, p, length, out);
#endif
  return either(sum, p, length, out);
}
