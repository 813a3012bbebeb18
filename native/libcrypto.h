/* The OpenSSL inside Node, or the one that Node is linked with, found at run time among the symbols
 * that the node binary exports. The build needs no OpenSSL headers, and there is no second copy of
 * the library. */
#ifndef WG_LIBCRYPTO_H
#define WG_LIBCRYPTO_H
#include <stddef.h>

struct wg_symbol {
  const char *name;
  void **slot;
};

/* Fills in all slots. Returns 0 if one symbol is not exported. Slots that several threads share are
 * filled in by pthread_once only, since each worker thread that loads the addon looks the symbols
 * up. */
int wg_find_symbols(const struct wg_symbol *symbols, size_t count);
#define WG_FIND_SYMBOLS(symbols) wg_find_symbols(symbols, sizeof(symbols) / sizeof *(symbols))

/* openssl/core.h */
enum { OSSL_PARAM_UNSIGNED_INTEGER = 2, OSSL_PARAM_UTF8_STRING = 4, OSSL_PARAM_OCTET_STRING = 5 };
struct ossl_param {
  const char *key;
  unsigned int type;
  void *data;
  size_t size, returned;
};
#endif
