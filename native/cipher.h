/* The transport cipher that JavaScript holds: the keys, and the main thread's lane. */
#ifndef WG_CIPHER_H
#define WG_CIPHER_H
#include "addon.h"
#include "lane.h"

static const napi_type_tag WG_CIPHER_KIND = {WG_TAG, 0x7767636970686572};

struct wg_lanes;

struct wg_cipher {
  const struct wg_aead *aead;
  struct wg_lane lane;
  struct wg_key_table keys;
  struct wg_lanes *lanes; /* the threads that also read the keys; NULL: none */
};
#endif
