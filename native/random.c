/* Random bytes from the kernel. OpenSSL's generator, behind node:crypto, keeps a state in this
 * process that two copies of a virtual machine share until its next reseed, so both would make the
 * same keys. The kernel's generator keeps none here, and the kernel reseeds it when it learns of a
 * copy (vmgenid). */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <sys/random.h>
#include <time.h>

/* LARGEST: getrandom neither blocks nor returns early for up to this many bytes. */
enum { LARGEST = 256, WORDS = 4 };

/* A bijection that spreads every bit of the input (the finalizer of splitmix64). */
static uint64_t spread(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* Adds the time to the first bytes by XOR. The time is independent of what the kernel drew, so the
 * bytes stay as random. Where the kernel did not learn that it is a copy, both copies draw the same
 * bytes, but hardly at the same nanosecond: then their keys differ. */
static void add_time(uint8_t *bytes, size_t length) {
  struct timespec wall = {0}, boot = {0};
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  uint64_t state = spread((uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec) ^
                   ((uint64_t)boot.tv_sec * 1000000000u + (uint64_t)boot.tv_nsec);
  for (size_t at = 0; at < length && at < WORDS * sizeof state; at++) {
    if (at % sizeof state == 0) state = spread(state + 0x9e3779b97f4a7c15u);
    bytes[at] ^= (uint8_t)(state >> (8 * (at % sizeof state)));
  }
}

/* randomFill(bytes): fills a Uint8Array. Throws system errors; before the kernel's generator is
 * ready, it waits. */
static napi_value random_fill(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_array bytes;
  if (!wg_arguments(env, info, &argument, 1) || !wg_array(env, argument, napi_uint8_array, &bytes)) return NULL;
  uint8_t *to = bytes.data;
  for (size_t done = 0; done < bytes.length;) {
    size_t left = bytes.length - done;
    ssize_t got = getrandom(to + done, left < LARGEST ? left : LARGEST, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return wg_throw_errno(env, "getrandom", errno);
    done += (size_t)got;
  }
  add_time(to, bytes.length);
  return NULL;
}

static const struct wg_function FUNCTIONS[] = {
    {"randomFill", random_fill},
    {NULL, NULL},
};
const struct wg_exports wg_exports_random = {FUNCTIONS, NULL};
