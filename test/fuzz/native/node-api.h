/* A stand-in for Node-API: as much of it as the fuzzed files call. Arguments are made here, and the
 * functions of the addon get them as they would get JavaScript's. */
#ifndef WG_FUZZ_NODE_API_H
#define WG_FUZZ_NODE_API_H
#include "addon.h"

napi_value fuzz_number(int64_t number);
napi_value fuzz_text(const char *text);
/* The memory belongs to the caller. */
napi_value fuzz_bytes(uint8_t *data, size_t length);
napi_value fuzz_numbers(int32_t *data, size_t length);
/* A handle of a struct that the caller keeps. */
napi_value fuzz_handle(void *data, const napi_type_tag *kind);

/* Calls a function of the addon. Returns its result; NULL if it threw. */
napi_value fuzz_call(napi_callback call, int count, const napi_value *arguments);
/* The same for a function that may return nothing. */
void fuzz_call_void(napi_callback call, int count, const napi_value *arguments);
/* Whether the last call threw. */
int fuzz_has_thrown(void);
/* Finds an exported function by its name. */
napi_callback fuzz_export(const struct wg_exports *exports, const char *name);
/* Returns a result's number; -1000 for everything else. */
int64_t fuzz_result(napi_value value);
/* Returns the bytes of a result, valid until fuzz_end. */
const void *fuzz_data(napi_value value, size_t *length);

/* Ends the environment, as Node does at its end: finalizes all handles and forgets all values. */
void fuzz_end(void);
#endif
