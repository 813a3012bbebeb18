/* Arguments, results, handles and errors: implements addon.h. */
#define _GNU_SOURCE
#include "addon.h"
#include <stdio.h>
#include <string.h>

/* Exported by the libuv in every node binary. Unlike strerrorname_np, it does not depend on the C
 * library. */
extern const char *uv_err_name(int err);

napi_value wg_throw_errno(napi_env env, const char *syscall, int err) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", syscall, strerror(err));
  napi_value error, text, code, number, call;
  if (napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) == napi_ok &&
      napi_create_string_utf8(env, uv_err_name(-err), NAPI_AUTO_LENGTH, &code) == napi_ok &&
      napi_create_error(env, code, text, &error) == napi_ok) {
    if (napi_create_int32(env, err, &number) == napi_ok) napi_set_named_property(env, error, "errno", number);
    if (napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &call) == napi_ok) napi_set_named_property(env, error, "syscall", call);
    napi_throw(env, error);
  }
  return NULL;
}

napi_value wg_throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

int wg_arguments(napi_env env, napi_callback_info info, napi_value *arguments, size_t want) {
  size_t count = want;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok && count >= want) return 1;
  wg_throw_type(env, "too few arguments");
  return 0;
}

int wg_int(napi_env env, napi_value value, int32_t *number) {
  if (napi_get_value_int32(env, value, number) == napi_ok) return 1;
  wg_throw_type(env, "not a number");
  return 0;
}

/* Handles whose tag was found right, by their address. Node's check of a tag is a search in a
 * property table and costs as much as a short system call, and each packet needs several. Each
 * thread has its own handles. An address leaves the table before its memory is freed. */
enum { KNOWN = 64 };
static _Thread_local struct {
  const void *data;
  const napi_type_tag *kind;
} known[KNOWN];

/* The kinds are constants of each file that includes a header, so their contents are compared. */
static int is_known(unsigned place, const void *data, const napi_type_tag *kind) {
  return known[place].data == data && known[place].kind->lower == kind->lower && known[place].kind->upper == kind->upper;
}

/* Memory from malloc is aligned to 16 bytes, and often to pages. */
static unsigned place_of(const void *data) { return (unsigned)((uintptr_t)data >> 4 ^ (uintptr_t)data >> 12) % KNOWN; }

union finalizer {
  napi_finalize call;
  void *hint;
};

static void finalize(napi_env env, void *data, void *hint) {
  unsigned place = place_of(data);
  if (known[place].data == data) known[place].data = NULL;
  union finalizer finalizer = {.hint = hint};
  finalizer.call(env, data, NULL);
}

napi_value wg_make_handle(napi_env env, void *data, napi_finalize finalizer, const napi_type_tag *kind) {
  napi_value handle = NULL;
  union finalizer own = {.call = finalizer};
  if (napi_create_external(env, data, finalize, own.hint, &handle) != napi_ok) return NULL;
  /* from here on the External owns the data, even if tagging fails */
  if (napi_type_tag_object(env, handle, kind) != napi_ok) wg_throw_type(env, "a handle cannot be tagged: this Node is too old");
  return handle;
}

void *wg_handle(napi_env env, napi_value value, const napi_type_tag *kind) {
  bool same = false;
  void *pointer = NULL;
  /* check for an External first: the check of the tag would convert a number into an object */
  if (napi_get_value_external(env, value, &pointer) != napi_ok) {
    wg_throw_type(env, "not a handle of the right kind");
    return NULL;
  }
  unsigned place = place_of(pointer);
  if (pointer && is_known(place, pointer, kind)) return pointer;
  if (napi_check_object_type_tag(env, value, kind, &same) == napi_ok && same) {
    known[place].data = pointer;
    known[place].kind = kind;
    return pointer;
  }
  wg_throw_type(env, "not a handle of the right kind");
  return NULL;
}

int wg_array(napi_env env, napi_value value, napi_typedarray_type want, struct wg_array *array) {
  napi_typedarray_type type;
  size_t elements;
  void *data = NULL;
  if (napi_get_typedarray_info(env, value, &type, &elements, &data, NULL, NULL) != napi_ok || type != want) {
    wg_throw_type(env, want == napi_int32_array ? "not an Int32Array" : "not a Uint8Array");
    return 0;
  }
  array->data = data;
  array->length = data ? elements : 0;
  return 1;
}

napi_value wg_number(napi_env env, int64_t number) {
  napi_value value = NULL;
  napi_create_int64(env, number, &value);
  return value;
}

napi_value wg_undefined(napi_env env) {
  napi_value value = NULL;
  napi_get_undefined(env, &value);
  return value;
}

void wg_set_number(napi_env env, napi_value object, const char *name, int64_t number) {
  napi_value value;
  if (napi_create_int64(env, number, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}
