/* Another addon's Externals, for handles.test.ts: pointers through which nothing may be read. */
#define NAPI_VERSION 8
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

/* foreign(address): returns an External that points there, without a tag. */
static napi_value foreign(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, result = NULL;
  int64_t address = 0;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  napi_get_value_int64(env, argument, &address);
  napi_create_external(env, (void *)(intptr_t)address, NULL, NULL, &result);
  return result;
}

/* tagged(address): with a tag of its own. */
static napi_value tagged(napi_env env, napi_callback_info info) {
  static const napi_type_tag tag = {1, 2};
  napi_value result = foreign(env, info);
  if (result) napi_type_tag_object(env, result, &tag);
  return result;
}

static napi_value init(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "foreign", NAPI_AUTO_LENGTH, foreign, NULL, &function);
  napi_set_named_property(env, exports, "foreign", function);
  napi_create_function(env, "tagged", NAPI_AUTO_LENGTH, tagged, NULL, &function);
  napi_set_named_property(env, exports, "tagged", function);
  return exports;
}

NAPI_MODULE(foreign, init)
