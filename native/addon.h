/* What every file of the addon shares: the form of its exports, and helpers for arguments, results
 * and errors (addon.c). Node-API only, so that one build serves every Node. */
#ifndef WG_ADDON_H
#define WG_ADDON_H
#define NAPI_VERSION 8
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

/* The functions that one file offers to JavaScript; module.c registers them all. */
struct wg_function {
  const char *name; /* NULL ends the table */
  napi_callback call;
};
struct wg_exports {
  const struct wg_function *functions;
  int (*is_available)(void); /* NULL: always. 0 leaves the functions of the file out. */
};

extern const struct wg_exports wg_exports_clock, wg_exports_poll, wg_exports_notices, wg_exports_netlink, wg_exports_notify,
    wg_exports_secrecy, wg_exports_tun, wg_exports_udp, wg_exports_cipher, wg_exports_offload,
    wg_exports_aead_single, wg_exports_blake2s, wg_exports_x25519;

/* Throws a JS Error with .code = the errno's name, .errno and .syscall; message "<syscall>:
 * <strerror>". Returns NULL. */
napi_value wg_throw_errno(napi_env env, const char *syscall, int err);
/* Throws a TypeError. Returns NULL. */
napi_value wg_throw_type(napi_env env, const char *message);

struct wg_array {
  void *data;
  size_t length; /* elements */
};

/* These return 0 or NULL, with an exception pending, when the argument is wrong. */
int wg_arguments(napi_env env, napi_callback_info info, napi_value *arguments, size_t want);
int wg_int(napi_env env, napi_value value, int32_t *number);
int wg_array(napi_env env, napi_value value, napi_typedarray_type want, struct wg_array *array);

/* A handle lets JavaScript hold one of our structs: an External with a tag that names its kind.
 * Node keeps the tag beside the pointer, so we never read through the pointer of a different kind
 * or of another addon's External. */
enum { WG_TAG = 0x77677473 };
/* Returns NULL if there is no memory; the data stays the caller's. Otherwise `finalize` gets the
 * data at the end, also when this environment ends. */
napi_value wg_make_handle(napi_env env, void *data, napi_finalize finalize, const napi_type_tag *kind);
/* Returns the data, or NULL with a TypeError pending if the value is not a handle of that kind. */
void *wg_handle(napi_env env, napi_value value, const napi_type_tag *kind);

napi_value wg_number(napi_env env, int64_t number);
napi_value wg_undefined(napi_env env);
void wg_set_number(napi_env env, napi_value object, const char *name, int64_t number);
#endif
