/* What every file of the addon shares: registration and argument helpers. Node-API only, so that one build serves every Node.
 * Each file offers one wg_export_* that adds its functions to the exports object; module.c calls them all. */
#ifndef WG_ADDON_H
#define WG_ADDON_H
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdint.h>
#include <stddef.h>

void wg_export_clock(napi_env env, napi_value exports);
void wg_export_tun(napi_env env, napi_value exports);
void wg_export_udp(napi_env env, napi_value exports);
void wg_export_poll(napi_env env, napi_value exports);
void wg_export_cipher(napi_env env, napi_value exports);

/* Adds a function; aborts the process only if Node itself is out of memory. */
void wg_export(napi_env env, napi_value exports, const char *name, napi_callback fn);
/* Throws a JS Error with .code = the errno's name, .errno and .syscall; message "<syscall>: <strerror>". Returns NULL. */
napi_value wg_throw_errno(napi_env env, const char *syscall, int err);

/* The bytes of a typed array; *length in bytes. NULL (with a TypeError pending) if it is none. */
void *wg_bytes(napi_env env, napi_value value, size_t *length);
#endif
