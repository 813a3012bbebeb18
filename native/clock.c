/* The boot-time clock. It also counts the time of suspend, like the kernel module's
 * ktime_get_coarse_boottime. Node offers only CLOCK_MONOTONIC. */
#define _GNU_SOURCE
#include "addon.h"
#include <time.h>

/* clockBoot(): returns the milliseconds since boot, with fractions. */
static napi_value clock_boot(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec now;
  napi_value value = NULL;
  if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) clock_gettime(CLOCK_MONOTONIC, &now);
  napi_create_double(env, (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6, &value);
  return value;
}

static const struct wg_function FUNCTIONS[] = {
    {"clockBoot", clock_boot},
    {NULL, NULL},
};
const struct wg_exports wg_exports_clock = {FUNCTIONS, NULL};
