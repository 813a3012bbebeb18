/* Implements the stand-in for Node-API: see node-api.h. */
#include "node-api.h"
#include "input.h"

enum kind { UNDEFINED, NUMBER, TEXT, BYTES, NUMBERS, BUFFER, HANDLE, OBJECT };

struct napi_value__ {
  enum kind kind;
  int64_t number;
  const char *text;
  void *data;
  size_t length;
  napi_finalize finalize;
  void *hint;
  napi_type_tag tag;
};

struct napi_callback_info__ {
  size_t count;
  const napi_value *arguments;
};

/* A sealed batch of the smallest segments is opened with four values for each. */
enum { MOST_VALUES = 1 << 18 };
static struct napi_value__ values[MOST_VALUES];
static int used, pending;

static napi_value new_value(enum kind kind) {
  must(used < MOST_VALUES, "too many values for one input");
  values[used] = (struct napi_value__){.kind = kind};
  return &values[used++];
}

napi_value fuzz_number(int64_t number) {
  napi_value value = new_value(NUMBER);
  value->number = number;
  return value;
}

napi_value fuzz_text(const char *text) {
  napi_value value = new_value(TEXT);
  value->text = text;
  return value;
}

static napi_value new_array(enum kind kind, void *data, size_t length) {
  napi_value value = new_value(kind);
  /* Node gives no address for an empty array */
  value->data = length ? data : NULL;
  value->length = length;
  return value;
}

napi_value fuzz_bytes(uint8_t *data, size_t length) { return new_array(BYTES, data, length); }
napi_value fuzz_numbers(int32_t *data, size_t length) { return new_array(NUMBERS, data, length); }

napi_value fuzz_handle(void *data, const napi_type_tag *kind) {
  napi_value value = new_value(HANDLE);
  value->data = data;
  value->tag = *kind;
  return value;
}

napi_value fuzz_call(napi_callback call, int count, const napi_value *arguments) {
  struct napi_callback_info__ info = {(size_t)count, arguments};
  pending = 0;
  napi_value result = call(NULL, &info);
  must(pending || result, "a function without a result throws");
  return pending ? NULL : result;
}

void fuzz_call_void(napi_callback call, int count, const napi_value *arguments) {
  struct napi_callback_info__ info = {(size_t)count, arguments};
  pending = 0;
  call(NULL, &info);
}

int fuzz_has_thrown(void) { return pending; }

napi_callback fuzz_export(const struct wg_exports *exports, const char *name) {
  for (const struct wg_function *function = exports->functions; function->name; function++)
    if (strcmp(function->name, name) == 0) return function->call;
  must(0, name);
  return NULL;
}

int64_t fuzz_result(napi_value value) { return value && value->kind == NUMBER ? value->number : -1000; }

const void *fuzz_data(napi_value value, size_t *length) {
  must(value && value->kind == BUFFER, "a result is a buffer");
  *length = value->length;
  return value->data;
}

void fuzz_end(void) {
  for (int i = 0; i < used; i++) {
    if (values[i].kind == HANDLE && values[i].finalize) values[i].finalize(NULL, values[i].data, values[i].hint);
    if (values[i].kind == BUFFER) free(values[i].data);
  }
  used = 0;
}

/* ---- what the addon calls ---- */

const char *uv_err_name(int err) {
  (void)err;
  return "E";
}

napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t *count, napi_value *arguments, napi_value *this_value, void **data) {
  (void)env, (void)this_value, (void)data;
  for (size_t i = 0; i < *count && i < info->count; i++) arguments[i] = info->arguments[i];
  *count = info->count;
  return napi_ok;
}

napi_status napi_get_value_int64(napi_env env, napi_value value, int64_t *number) {
  (void)env;
  if (value->kind != NUMBER) return napi_number_expected;
  *number = value->number;
  return napi_ok;
}

napi_status napi_get_value_int32(napi_env env, napi_value value, int32_t *number) {
  int64_t wide;
  napi_status status = napi_get_value_int64(env, value, &wide);
  if (status == napi_ok) *number = (int32_t)(uint32_t)(uint64_t)wide;
  return status;
}

napi_status napi_get_value_uint32(napi_env env, napi_value value, uint32_t *number) {
  int64_t wide;
  napi_status status = napi_get_value_int64(env, value, &wide);
  if (status == napi_ok) *number = (uint32_t)(uint64_t)wide;
  return status;
}

napi_status napi_get_value_string_utf8(napi_env env, napi_value value, char *to, size_t room, size_t *length) {
  (void)env;
  if (value->kind != TEXT) return napi_string_expected;
  snprintf(to, room, "%s", value->text);
  *length = strlen(to);
  return napi_ok;
}

napi_status napi_get_typedarray_info(napi_env env, napi_value value, napi_typedarray_type *type, size_t *length, void **data, napi_value *buffer, size_t *offset) {
  (void)env, (void)buffer, (void)offset;
  if (value->kind != BYTES && value->kind != NUMBERS) return napi_invalid_arg;
  *type = value->kind == BYTES ? napi_uint8_array : napi_int32_array;
  *length = value->length;
  *data = value->data;
  return napi_ok;
}

napi_status napi_get_value_external(napi_env env, napi_value value, void **data) {
  (void)env;
  if (value->kind != HANDLE) return napi_invalid_arg;
  *data = value->data;
  return napi_ok;
}

napi_status napi_check_object_type_tag(napi_env env, napi_value value, const napi_type_tag *tag, bool *same) {
  (void)env;
  *same = value->kind == HANDLE && value->tag.lower == tag->lower && value->tag.upper == tag->upper;
  return napi_ok;
}

napi_status napi_type_tag_object(napi_env env, napi_value value, const napi_type_tag *tag) {
  (void)env;
  value->tag = *tag;
  return napi_ok;
}

napi_status napi_create_external(napi_env env, void *data, napi_finalize finalize, void *hint, napi_value *result) {
  (void)env;
  *result = new_value(HANDLE);
  (*result)->data = data;
  (*result)->finalize = finalize;
  (*result)->hint = hint;
  return napi_ok;
}

napi_status napi_create_int64(napi_env env, int64_t number, napi_value *result) {
  (void)env;
  *result = fuzz_number(number);
  return napi_ok;
}
napi_status napi_create_int32(napi_env env, int32_t number, napi_value *result) { return napi_create_int64(env, number, result); }
napi_status napi_get_boolean(napi_env env, bool is_true, napi_value *result) { return napi_create_int64(env, is_true, result); }
napi_status napi_create_double(napi_env env, double number, napi_value *result) { return napi_create_int64(env, (int64_t)number, result); }

napi_status napi_create_buffer_copy(napi_env env, size_t length, const void *data, void **copy, napi_value *result) {
  (void)env;
  *result = new_value(BUFFER);
  (*result)->data = *copy = copy_of(data, length);
  (*result)->length = length;
  return napi_ok;
}

static napi_status made(enum kind kind, napi_value *result) {
  *result = new_value(kind);
  return napi_ok;
}
napi_status napi_get_undefined(napi_env env, napi_value *result) { return (void)env, made(UNDEFINED, result); }
napi_status napi_create_object(napi_env env, napi_value *result) { return (void)env, made(OBJECT, result); }
napi_status napi_create_array(napi_env env, napi_value *result) { return (void)env, made(OBJECT, result); }
napi_status napi_create_string_utf8(napi_env env, const char *text, size_t length, napi_value *result) {
  (void)env, (void)text, (void)length;
  return made(OBJECT, result);
}
napi_status napi_create_error(napi_env env, napi_value code, napi_value text, napi_value *result) {
  (void)env, (void)code, (void)text;
  return made(OBJECT, result);
}

napi_status napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value) {
  (void)env, (void)object, (void)name, (void)value;
  return napi_ok;
}
napi_status napi_set_element(napi_env env, napi_value object, uint32_t index, napi_value value) {
  (void)env, (void)object, (void)index, (void)value;
  return napi_ok;
}

napi_status napi_throw(napi_env env, napi_value error) {
  (void)env, (void)error;
  pending = 1;
  return napi_ok;
}
napi_status napi_throw_type_error(napi_env env, const char *code, const char *text) {
  (void)code, (void)text;
  return napi_throw(env, NULL);
}
