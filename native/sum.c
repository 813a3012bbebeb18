/* Compiles the sum and copy of bytes.h a second time, for AVX2. Most x86-64 machines have AVX2, but
 * a compiler must not assume it. Payloads of 1400 bytes take half the time. */
#include "bytes.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Has two calls, so that the loop without a copy contains no test. */
static inline __attribute__((always_inline)) uint64_t either(uint64_t sum, const uint8_t *p, size_t length, uint8_t *out) {
  return out ? wg_sum_and_copy(sum, p, length, out) : wg_sum_and_copy(sum, p, length, NULL);
}

#if defined(__x86_64__)
static int has_avx2;

/* Detects AVX2 with processor instructions. __builtin_cpu_supports needs libgcc's __cpu_model,
 * which the compiler of native/prebuilt lacks. */
__attribute__((constructor)) static void find_avx2(void) {
  unsigned a, b, c, d, saved, above;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return;
  /* does the system save the vector registers XMM and YMM? */
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
