/* Waits awake for the next packet, for some microseconds, if the last ones came that soon. A thread
 * that sleeps is woken only after the kernel has chosen a core and that core has come out of its
 * rest, which takes longer than a lone packet's work. The time grows and shrinks as the kernel's
 * halt polling does (Documentation/virt/kvm/halt-polling.rst), and begins at nothing.
 *
 * Only a core that no other thread wants is used up: each look is followed by sched_yield, and if
 * that lets another thread run, the wait ends. */
#define _GNU_SOURCE
#include "spin.h"
#include <poll.h>
#include <sched.h>
#include <time.h>

extern int uv_backend_fd(const uv_loop_t *loop);
extern int uv_backend_timeout(const uv_loop_t *loop);

/* In nanoseconds. FIRST: the time to begin with. LEAST: a shorter one becomes none. GIVEN_AWAY: a
 * look and its yield take a microsecond; if they took that long, another thread ran. LONGEST: the
 * most that spinLimit accepts; a timer may be that late. */
enum { FIRST = 10000, LEAST = 5000, GIVEN_AWAY = 20000, LONGEST = 200000 };

/* Each thread has a loop of its own. `began`: when the last wait began, awake or asleep. */
static _Thread_local struct {
  uint64_t limit, window, began;
} spin;

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void wg_spin_woken(void) {
  if (!spin.limit || !spin.began) return;
  uint64_t waited = nanoseconds() - spin.began;
  spin.began = 0;
  if (waited > spin.limit) spin.window = spin.window / 2 < LEAST ? 0 : spin.window / 2;
  else if (waited > spin.window) spin.window = spin.window ? spin.window * 2 : FIRST;
  if (spin.window > spin.limit) spin.window = spin.limit;
}

void wg_spin(uv_loop_t *loop) {
  if (!spin.limit) return;
  uint64_t now = nanoseconds(), end = now + spin.window;
  spin.began = now;
  /* 0: a timer, an immediate or the end of a handle is due */
  if (!spin.window || uv_backend_timeout(loop) == 0) return;
  /* readable if any descriptor of the loop is; this takes nothing from it */
  struct pollfd any = {.fd = uv_backend_fd(loop), .events = POLLIN};
  while (now < end) {
    uint64_t before = now;
    if (poll(&any, 1, 0) != 0) return;
    sched_yield();
    now = nanoseconds();
    if (now - before > GIVEN_AWAY) return;
  }
}

/* spinLimit(microseconds): how long this thread may wait awake; 0, as at first, for not at all. */
static napi_value spin_limit(napi_env env, napi_callback_info info) {
  napi_value argument;
  int32_t limit;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &limit)) return NULL;
  spin.limit = limit <= 0 ? 0 : limit > LONGEST / 1000 ? LONGEST : (uint64_t)limit * 1000;
  spin.window = 0;
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"spinLimit", spin_limit},
    {NULL, NULL},
};
const struct wg_exports wg_exports_spin = {FUNCTIONS, NULL};
