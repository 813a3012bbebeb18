/* The clocks of the system. Node offers only CLOCK_MONOTONIC, which stands still during suspend,
 * and no notice when the wall clock is set. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const napi_type_tag KIND = {WG_TAG, 0x77672d616c61726d};

struct alarm {
  int fd;
};

static double milliseconds(clockid_t clock, clockid_t otherwise) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) clock_gettime(otherwise, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* clockRead(out): writes three clocks in milliseconds to a Float64Array: the time since boot, which
 * counts suspend like the kernel module's ktime_get_coarse_boottime; the time since boot without
 * suspend; Unix time. An interruption between the reads makes the second and third larger, so the
 * first minus the second never appears to grow without a suspend. */
static napi_value clock_read(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_array out;
  if (!wg_arguments(env, info, &argument, 1) || !wg_array(env, argument, napi_float64_array, &out)) return NULL;
  if (out.length < 3) return wg_throw_type(env, "fewer than three elements");
  double *to = out.data;
  to[0] = milliseconds(CLOCK_BOOTTIME, CLOCK_MONOTONIC);
  to[1] = milliseconds(CLOCK_MONOTONIC, CLOCK_MONOTONIC);
  to[2] = milliseconds(CLOCK_REALTIME, CLOCK_REALTIME);
  return NULL;
}

static void close_alarm(struct alarm *alarm) {
  if (alarm->fd >= 0) close(alarm->fd);
  alarm->fd = -1;
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  close_alarm(data);
  free(data);
}

/* Arms the timer for the last second that the kernel represents. It expires when the wall clock is
 * set, which resume from suspend does as well. */
static int arm(struct alarm *alarm) {
  struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};
  return timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

/* clockAlarmOpen(): returns a handle whose descriptor becomes readable whenever the wall clock is
 * set and after resume from suspend. Throws system errors. */
static napi_value clock_alarm_open(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  struct alarm *alarm = calloc(1, sizeof *alarm);
  if (!alarm) return wg_throw_errno(env, "calloc", ENOMEM);
  alarm->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  int err = alarm->fd < 0 || arm(alarm) != 0 ? errno : 0;
  if (err || !(result = wg_make_handle(env, alarm, release, &KIND))) {
    release(env, alarm, NULL);
    return err ? wg_throw_errno(env, "timerfd", err) : NULL;
  }
  return result;
}

/* clockAlarmFd(handle): returns the descriptor for pollStart; -1 when closed. */
static napi_value clock_alarm_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct alarm *alarm;
  if (!wg_arguments(env, info, &argument, 1) || !(alarm = wg_handle(env, argument, &KIND))) return NULL;
  return wg_number(env, alarm->fd);
}

/* clockAlarmRearm(handle): makes the descriptor unreadable until the clock is set again. */
static napi_value clock_alarm_rearm(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct alarm *alarm;
  uint64_t expirations;
  if (!wg_arguments(env, info, &argument, 1) || !(alarm = wg_handle(env, argument, &KIND))) return NULL;
  if (alarm->fd >= 0) {
    ssize_t got = read(alarm->fd, &expirations, sizeof expirations); /* ECANCELED: the clock was set */
    (void)got;
    arm(alarm);
  }
  return wg_undefined(env);
}

/* clockAlarmClose(handle): may be called again. Stop polling first. */
static napi_value clock_alarm_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct alarm *alarm;
  if (!wg_arguments(env, info, &argument, 1) || !(alarm = wg_handle(env, argument, &KIND))) return NULL;
  close_alarm(alarm);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"clockRead", clock_read},
    {"clockAlarmOpen", clock_alarm_open},
    {"clockAlarmFd", clock_alarm_fd},
    {"clockAlarmRearm", clock_alarm_rearm},
    {"clockAlarmClose", clock_alarm_close},
    {NULL, NULL},
};
const struct wg_exports wg_exports_clock = {FUNCTIONS, NULL};
