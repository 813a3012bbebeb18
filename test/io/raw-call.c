/* Any system call from JavaScript, for sandboxed.mjs: what code could do that an attacker brings
 * into the process of a device. */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* call(number, ...arguments): returns the result, or a negative errno. An argument is a number, or
 * a Uint8Array for a pointer to its bytes. */
static napi_value call(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value arguments[7], result = NULL;
  long values[7] = {0};
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  for (size_t i = 0; i < count && i < 7; i++) {
    int64_t number;
    void *bytes;
    if (napi_get_value_int64(env, arguments[i], &number) == napi_ok) values[i] = (long)number;
    else if (napi_get_typedarray_info(env, arguments[i], NULL, NULL, &bytes, NULL, NULL) == napi_ok) values[i] = (long)(intptr_t)bytes;
  }
  long got = syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]);
  napi_create_int64(env, got < 0 ? -errno : got, &result);
  return result;
}

#ifdef __x86_64__
/* call32(number): makes a system call of the 32-bit ABI. */
static napi_value call32(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, result = NULL;
  int32_t number = 0, got;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  napi_get_value_int32(env, argument, &number);
  __asm__ volatile("int $0x80" : "=a"(got) : "a"(number), "b"(0), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  napi_create_int32(env, got, &result);
  return result;
}
#endif

static napi_value init(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "call", NAPI_AUTO_LENGTH, call, NULL, &function);
  napi_set_named_property(env, exports, "call", function);
#ifdef __x86_64__
  napi_create_function(env, "call32", NAPI_AUTO_LENGTH, call32, NULL, &function);
  napi_set_named_property(env, exports, "call32", function);
#endif
  return exports;
}

NAPI_MODULE(raw_call, init)
