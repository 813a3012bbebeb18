/* What every file of the addon shares: registration and argument helpers. Node-API only, so that one build serves every Node.
 * Each file offers one wg_export_* that adds its functions to the exports object; module.c calls them all. */
#ifndef WG_ADDON_H
#define WG_ADDON_H
#define NAPI_VERSION 8
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

void wg_export_clock(napi_env env, napi_value exports);
void wg_export_poll(napi_env env, napi_value exports);
void wg_export_notices(napi_env env, napi_value exports);
void wg_export_netlink(napi_env env, napi_value exports);
void wg_export_notify(napi_env env, napi_value exports);
void wg_export_secrecy(napi_env env, napi_value exports);
void wg_export_tun(napi_env env, napi_value exports);
void wg_export_udp(napi_env env, napi_value exports);
void wg_export_cipher(napi_env env, napi_value exports);
void wg_export_offload(napi_env env, napi_value exports);
void wg_export_aead_single(napi_env env, napi_value exports);
void wg_export_blake2s(napi_env env, napi_value exports);
void wg_export_x25519(napi_env env, napi_value exports);

/* Adds a function; aborts the process only if Node itself is out of memory. */
void wg_export(napi_env env, napi_value exports, const char *name, napi_callback fn);

/* Throws a JS Error with .code = the errno's name, .errno and .syscall; message "<syscall>: <strerror>". Returns NULL. */
napi_value wg_throw_errno(napi_env env, const char *syscall, int err);
/* Throws a TypeError. Returns NULL. */
napi_value wg_throw_type(napi_env env, const char *message);

struct wg_array {
  void *data;
  size_t length; /* elements */
};

/* These return 0, or NULL, with an exception pending when the argument is not what it should be. */
int wg_arguments(napi_env env, napi_callback_info info, napi_value *arguments, size_t want);
int wg_int(napi_env env, napi_value value, int32_t *number);
int wg_array(napi_env env, napi_value value, napi_typedarray_type want, struct wg_array *array);

/* What JavaScript holds of a struct of ours: an External with a tag that names its kind. The tag is Node's own, beside the pointer, so
 * that nothing is read through the pointer of another addon's External, or of another kind of ours. */
enum { WG_TAG = 0x77677473 };
/* NULL if there is no memory for it: the data stays the caller's. Otherwise `finalize` gets it at last, also when this environment ends. */
napi_value wg_make_handle(napi_env env, void *data, napi_finalize finalize, const napi_type_tag *kind);
/* The data, or NULL with a TypeError pending when the value is no handle of that kind. */
void *wg_handle(napi_env env, napi_value value, const napi_type_tag *kind);

napi_value wg_number(napi_env env, int64_t number);
napi_value wg_undefined(napi_env env);
void wg_set_number(napi_env env, napi_value object, const char *name, int64_t number);
#endif
