/* An interpreter of classic BPF (Documentation/networking/filter.rst), as far as the programs of
 * native/ need it. Every program must be one that the kernel accepts. */
#ifndef WG_FUZZ_BPF_H
#define WG_FUZZ_BPF_H
#include "input.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

/* Checks what the kernel checks before it takes a program. */
static inline void bpf_check(const struct sock_filter *code, int length) {
  must(length > 0 && length <= BPF_MAXINSNS, "a program has a length that the kernel accepts");
  for (int at = 0; at < length; at++)
    if (BPF_CLASS(code[at].code) == BPF_JMP) must(at + 1 + (code[at].jt > code[at].jf ? code[at].jt : code[at].jf) < length, "a jump stays inside");
  must(code[length - 1].code == (BPF_RET | BPF_K), "a program ends with its verdict");
}

/* Loads a word of the data. A load of a socket filter is in big endian; one beyond the data ends
 * the program with 0 and clears *is_inside. */
static inline uint32_t bpf_load(const void *data, size_t size, uint32_t at, int is_seccomp, int *is_inside) {
  uint32_t word = 0;
  *is_inside = at + sizeof word <= size;
  if (is_seccomp) must(*is_inside && at % sizeof word == 0, "a filter of system calls loads words of its data");
  if (!*is_inside) return 0;
  memcpy(&word, (const uint8_t *)data + at, sizeof word);
  return is_seccomp ? word : __builtin_bswap32(word);
}

/* Runs a program that bpf_check accepts. Returns its verdict. */
static inline uint32_t bpf_run(const struct sock_filter *code, const void *data, size_t size, int is_seccomp) {
  uint32_t a = 0;
  int is_inside = 1;
  for (int at = 0;; at++) {
    uint32_t k = code[at].k;
    switch (code[at].code) {
      case BPF_LD | BPF_W | BPF_ABS: a = bpf_load(data, size, k, is_seccomp, &is_inside); break;
      case BPF_LD | BPF_W | BPF_LEN: a = (uint32_t)size; break;
      case BPF_ALU | BPF_AND | BPF_K: a &= k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: at += a == k ? code[at].jt : code[at].jf; break;
      case BPF_JMP | BPF_JGE | BPF_K: at += a >= k ? code[at].jt : code[at].jf; break;
      case BPF_RET | BPF_K: return k;
      default: must(0, "an instruction is one that this interpreter knows");
    }
    if (!is_inside) return 0;
  }
}
#endif
