/* Fuzz target: random bytes (native/random.c) from a kernel that interrupts, gives less than it was
 * asked for, and fails. Every byte is drawn once, in order, and only the first ones are mixed with
 * the time.
 *
 * Input: the length (2 bytes), the clocks (8 and 8), then what the kernel does with each call (1).
 */
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <sys/random.h>
#include <time.h>

enum { MIXED = 32, LARGEST = 256 };

static struct input kernel;
static uint8_t *bytes, *drawn;
static size_t length, done;
static int has_failed;
static uint64_t clocks[2];

/* The linker gives random.c these functions in place of the C library's. */
ssize_t __wrap_getrandom(void *to, size_t room, unsigned flags);
ssize_t __real_getrandom(void *to, size_t room, unsigned flags);
int __wrap_clock_gettime(clockid_t clock, struct timespec *to);
int __real_clock_gettime(clockid_t clock, struct timespec *to);

ssize_t __wrap_getrandom(void *to, size_t room, unsigned flags) {
  if (!bytes) return __real_getrandom(to, room, flags);
  must(flags == 0 && to == bytes + done && room > 0 && room <= LARGEST && done + room <= length, "the next bytes are drawn, as the kernel gives them at once");
  uint8_t kind = (uint8_t)take(&kernel, 1);
  if (kind >= 0xf0) {
    errno = kind == 0xf0 ? ENOSYS : EINTR;
    has_failed |= kind == 0xf0;
    return -1;
  }
  size_t some = kind & 0x80 ? 1 + kind % room : room;
  for (size_t i = 0; i < some; i++) ((uint8_t *)to)[i] = drawn[done + i] = (uint8_t)(done + i + kind);
  done += some;
  return (ssize_t)some;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *to) {
  if (!bytes) return __real_clock_gettime(clock, to);
  uint64_t number = clocks[clock == CLOCK_BOOTTIME];
  *to = (struct timespec){(time_t)(number >> 32), (long)((uint32_t)number % 1000000000u)};
  return 0;
}

static uint8_t *filled(void) {
  done = 0;
  fuzz_call_void(fuzz_export(&wg_exports_random, "randomFill"), 1, (napi_value[]){fuzz_bytes(bytes, length)});
  must(fuzz_has_thrown() == has_failed && (has_failed || done == length), "everything is drawn, or it throws");
  return copy_of(bytes, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  length = take(&in, 2) % 2048;
  clocks[0] = take(&in, 8), clocks[1] = take(&in, 8);
  kernel = in;
  has_failed = 0;
  drawn = exactly(length);
  bytes = exactly(length);
  uint8_t *first = filled();
  if (!has_failed) {
    for (size_t i = MIXED; i < length; i++) must(first[i] == drawn[i], "bytes beyond the first ones are the kernel's");
    kernel = in;
    uint8_t *second = filled();
    must(memcmp(first, second, length) == 0, "the same time changes the bytes in the same way");
    free(second);
    /* another nanosecond, and the same draw: other bytes, as for two copies of a machine */
    clocks[0] ^= 1ull << 32;
    kernel = in;
    uint8_t *third = filled();
    must(length < 8 || memcmp(first, third, length) != 0, "another time changes the bytes in another way");
    free(third);
  }
  free(first);
  free(bytes);
  free(drawn);
  bytes = NULL;
  fuzz_end();
  return 0;
}
