/* The AEAD providers of this machine, for JavaScript, which chooses one for its ciphers. */
#include "addon.h"
#include "aead.h"

/* cipherProviders(): self-tests and times each provider. Returns [{ name, problem: string |
 * undefined, nanoseconds: number | undefined }]. */
static napi_value cipher_providers(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list = NULL;
  napi_create_array(env, &list);
  for (int i = 0; wg_aead_all[i]; i++) {
    const char *why = NULL;
    void *state = wg_aead_make(wg_aead_all[i], &why);
    napi_value entry, name, problem = wg_undefined(env), nanoseconds = wg_undefined(env);
    if (napi_create_object(env, &entry) != napi_ok) return NULL;
    napi_create_string_utf8(env, wg_aead_all[i]->name, NAPI_AUTO_LENGTH, &name);
    if (state) {
      napi_create_double(env, wg_aead_speed(wg_aead_all[i], state), &nanoseconds);
      wg_aead_all[i]->destroy(state);
    } else {
      napi_create_string_utf8(env, why, NAPI_AUTO_LENGTH, &problem);
    }
    napi_set_named_property(env, entry, "name", name);
    napi_set_named_property(env, entry, "problem", problem);
    napi_set_named_property(env, entry, "nanoseconds", nanoseconds);
    napi_set_element(env, list, (uint32_t)i, entry);
  }
  return list;
}

static const struct wg_function FUNCTIONS[] = {
    {"cipherProviders", cipher_providers},
    {NULL, NULL},
};
const struct wg_exports wg_exports_aead_providers = {FUNCTIONS, NULL};
