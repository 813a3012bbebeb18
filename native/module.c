/* The addon's entry point, which registers the functions of all files. No file depends on this
 * one. */
#include "addon.h"

static const struct wg_exports *const EXPORTS[] = {
    &wg_exports_clock,
    &wg_exports_poll,
    &wg_exports_spin,
    &wg_exports_notices,
    &wg_exports_netlink,
    &wg_exports_notify,
    &wg_exports_random,
    &wg_exports_secrecy,
    &wg_exports_rights,
    &wg_exports_file_lock,
    &wg_exports_kernel_log,
    &wg_exports_privileges,
    &wg_exports_sandbox,
    &wg_exports_tun,
    &wg_exports_udp,
    &wg_exports_cipher,
    &wg_exports_lanes,
    &wg_exports_aead_providers,
    &wg_exports_offload,
    &wg_exports_aead_single,
    &wg_exports_blake2s,
    &wg_exports_x25519,
};

/* Adds one function to the exports. Aborts the process only if Node itself is out of memory. */
static void add(napi_env env, napi_value exports, const struct wg_function *function) {
  napi_value value;
  if (napi_create_function(env, function->name, NAPI_AUTO_LENGTH, function->call, NULL, &value) != napi_ok ||
      napi_set_named_property(env, exports, function->name, value) != napi_ok)
    napi_fatal_error("wireguard.node", NAPI_AUTO_LENGTH, function->name, NAPI_AUTO_LENGTH);
}

static napi_value init(napi_env env, napi_value exports) {
  for (size_t i = 0; i < sizeof EXPORTS / sizeof *EXPORTS; i++) {
    if (EXPORTS[i]->is_available && !EXPORTS[i]->is_available()) continue;
    for (const struct wg_function *function = EXPORTS[i]->functions; function->name; function++) add(env, exports, function);
  }
  return exports;
}

NAPI_MODULE(wireguard, init)
