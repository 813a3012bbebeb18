/* Declarations for all files of the addon: the table of exports, and functions for arguments,
 * results and errors (addon.c). Only Node-API is used, so that one build works in every Node
 * version. */
#ifndef WG_ADDON_H
#define WG_ADDON_H
#define NAPI_VERSION 8
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

/* The functions that one file exports to JavaScript. module.c registers them. */
struct wg_function {
  const char *name; /* NULL ends the table */
  napi_callback call;
};
struct wg_exports {
  const struct wg_function *functions;
  int (*is_available)(void); /* returns 0 to omit the functions; NULL: never omit */
};

extern const struct wg_exports wg_exports_clock, wg_exports_poll, wg_exports_spin, wg_exports_notices, wg_exports_netlink, wg_exports_notify,
    wg_exports_random, wg_exports_secrecy, wg_exports_rights, wg_exports_privileges, wg_exports_sandbox, wg_exports_tun,
    wg_exports_udp, wg_exports_cipher, wg_exports_lanes, wg_exports_aead_providers,
    wg_exports_offload, wg_exports_file_lock, wg_exports_kernel_log,
    wg_exports_aead_single, wg_exports_blake2s, wg_exports_x25519;

/* Throws a JS Error with the message "<syscall>: <strerror>". Its properties are code (the name of
 * the errno), errno and syscall. Returns NULL. */
napi_value wg_throw_errno(napi_env env, const char *syscall, int err);
/* Throws a TypeError. Returns NULL. */
napi_value wg_throw_type(napi_env env, const char *message);

struct wg_array {
  void *data;
  size_t length; /* elements */
};

/* If the argument is wrong, these return 0 or NULL with an exception pending. */
int wg_arguments(napi_env env, napi_callback_info info, napi_value *arguments, size_t want);
int wg_int(napi_env env, napi_value value, int32_t *number);
int wg_array(napi_env env, napi_value value, napi_typedarray_type want, struct wg_array *array);

/* A handle lets JavaScript hold one of our structs. It is a Node-API External with a tag that names
 * the kind of struct. Node stores the tag beside the pointer, so we never follow a pointer of a
 * different kind, or one of another addon. */
enum { WG_TAG = 0x77677473 };
/* Returns NULL if there is no memory; the caller then still owns the data. Otherwise `finalize`
 * gets the data when the handle is collected or this environment ends. */
napi_value wg_make_handle(napi_env env, void *data, napi_finalize finalize, const napi_type_tag *kind);
/* Returns the data, or NULL with a TypeError pending if the value is not a handle of that kind. */
void *wg_handle(napi_env env, napi_value value, const napi_type_tag *kind);

napi_value wg_number(napi_env env, int64_t number);
napi_value wg_undefined(napi_env env);
void wg_set_number(napi_env env, napi_value object, const char *name, int64_t number);
#endif
