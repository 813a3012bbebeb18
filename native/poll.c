/* Polls a descriptor in Node's own loop with uv_poll. Polling is level triggered: the loop calls
 * again if a callback leaves data unread.
 *
 * uv.h is not part of Node-API, so this file declares the functions that it needs. Every node
 * binary exports them, and their signatures belong to libuv 1's stable ABI. The size of a handle is
 * read at run time. */
#define _GNU_SOURCE
#include "spin.h"
#include <errno.h>
#include <stdlib.h>

typedef struct uv_handle_s uv_handle_t;

enum { UV_POLL = 8, UV_READABLE = 1 };
/* What a callback may return, as in src/io/ports.ts. */
enum { DONE = 1, LONE = 2 };

extern size_t uv_handle_size(int type);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);
/* Returns the nanoseconds that the loop has waited for events. Node enables this measurement for
 * each of its loops. */
extern uint64_t uv_metrics_idle_time(uv_loop_t *loop);
extern int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, void (*callback)(uv_handle_t *handle, int status, int events));
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *handle));

static const napi_type_tag KIND = {WG_TAG, 0x77672d706f6c6c31};

struct poll {
  napi_env env;
  uv_loop_t *loop;
  uv_handle_t *uv;
  napi_ref callback;
  napi_ref nothing; /* a function that does nothing */
  napi_async_cleanup_hook_handle cleanup;
  int32_t left; /* what the last callback returned, DONE or LONE; 0: anything else */
  int closing;  /* uv_close was called, or was never needed */
  int released; /* JavaScript no longer holds the handle */
};

static void free_when_done(struct poll *poll) {
  if (poll->uv || !poll->released) return;
  free(poll);
}

static void closed(uv_handle_t *uv) {
  struct poll *poll = uv_handle_get_data(uv);
  free(uv);
  poll->uv = NULL;
  if (poll->cleanup) napi_remove_async_cleanup_hook(poll->cleanup);
  poll->cleanup = NULL;
  free_when_done(poll);
}

static void stop(struct poll *poll) {
  if (poll->closing) return;
  poll->closing = 1;
  if (poll->callback) napi_delete_reference(poll->env, poll->callback);
  if (poll->nothing) napi_delete_reference(poll->env, poll->nothing);
  poll->callback = poll->nothing = NULL;
  uv_poll_stop(poll->uv);
  uv_close(poll->uv, closed);
}

/* Runs when the environment ends: the handle must close before the loop can. */
static void at_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  stop(data);
}

static napi_value do_nothing(napi_env env, napi_callback_info info) {
  (void)info;
  return wg_undefined(env);
}

/* Calls back. napi_make_callback would also run what JavaScript left for after the callback
 * (process.nextTick, promises). To do so it touches memory all over Node, which is a waste for a
 * packet that left nothing. So it is called only then, with a function that does nothing. */
static napi_status call(struct poll *poll) {
  napi_env env = poll->env;
  napi_value callback, nothing, global, waited, result = NULL;
  napi_status status = napi_get_reference_value(env, poll->callback, &callback);
  /* the callback may end the polling, and with it this reference */
  if (status == napi_ok) status = napi_get_reference_value(env, poll->nothing, &nothing);
  if (status == napi_ok) status = napi_get_global(env, &global);
  if (status == napi_ok) status = napi_create_double(env, (double)uv_metrics_idle_time(poll->loop) / 1e6, &waited);
  if (status == napi_ok) status = napi_call_function(env, global, callback, 1, &waited, &result);
  if (status != napi_ok || !result) return status;
  if (napi_get_value_int32(env, result, &poll->left) != napi_ok) poll->left = 0;
  if (poll->left == DONE || poll->left == LONE) return napi_ok;
  return napi_make_callback(env, NULL, global, nothing, 0, NULL, &result);
}

static void ready(uv_handle_t *uv, int status, int events) {
  (void)events;
  struct poll *poll = uv_handle_get_data(uv);
  napi_env env = poll->env;
  napi_handle_scope scope;
  if (poll->closing || napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (poll->left == LONE) wg_spin_woken();
  napi_status called = call(poll);
  if (called == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
  if (called == napi_ok && poll->left == LONE && !poll->closing) wg_spin(poll->loop);
  /* on an error of the descriptor libuv stops polling; start again if the owner still polls */
  if (status < 0 && !poll->closing) uv_poll_start(uv, UV_READABLE, ready);
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct poll *poll = data;
  poll->released = 1;
  stop(poll);
  free_when_done(poll);
}

/* pollStart(fd, callback): calls callback(waited) whenever the descriptor is readable or has an
 * error. Returns a handle. `waited` is the total time in milliseconds that this thread's loop has
 * waited for events; while the loop waits, no polled descriptor is readable. A callback that
 * returns DONE left no promise and no process.nextTick behind; if it did, they run after the next
 * callback. After LONE, the thread may also stay awake for a while (spin.c). The caller owns the
 * descriptor and must keep it open until pollStop. */
static napi_value poll_start(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  int32_t fd;
  uv_loop_t *loop;
  if (!wg_arguments(env, info, arguments, 2) || !wg_int(env, arguments[0], &fd)) return NULL;
  napi_valuetype type;
  if (napi_typeof(env, arguments[1], &type) != napi_ok || type != napi_function) return wg_throw_type(env, "not a function");
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return wg_throw_errno(env, "uv_loop", ENOSYS);
  struct poll *poll = calloc(1, sizeof *poll);
  uv_handle_t *uv = calloc(1, uv_handle_size(UV_POLL));
  int err = poll && uv ? uv_poll_init(loop, uv, fd) : -ENOMEM;
  if (err) {
    free(poll);
    free(uv);
    return wg_throw_errno(env, "uv_poll_init", -err);
  }
  *poll = (struct poll){.env = env, .loop = loop, .uv = uv};
  uv_handle_set_data(uv, poll);
  napi_value nothing;
  napi_create_reference(env, arguments[1], 1, &poll->callback);
  if (napi_create_function(env, NULL, 0, do_nothing, NULL, &nothing) == napi_ok)
    napi_create_reference(env, nothing, 1, &poll->nothing);
  napi_add_async_cleanup_hook(env, at_end, poll, &poll->cleanup);
  err = uv_poll_start(uv, UV_READABLE, ready);
  if (!(result = wg_make_handle(env, poll, release, &KIND))) {
    poll->released = 1;
    stop(poll);
    return NULL;
  }
  if (err) {
    stop(poll);
    return wg_throw_errno(env, "uv_poll_start", -err);
  }
  return result;
}

/* pollStop(handle): stops polling. No callback runs afterwards, not even one that is already due.
 * May be called in the callback, and more than once. */
static napi_value poll_stop(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct poll *poll;
  if (!wg_arguments(env, info, &argument, 1) || !(poll = wg_handle(env, argument, &KIND))) return NULL;
  stop(poll);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"pollStart", poll_start},
    {"pollStop", poll_stop},
    {NULL, NULL},
};
const struct wg_exports wg_exports_poll = {FUNCTIONS, NULL};
