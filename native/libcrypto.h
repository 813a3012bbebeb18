/* The OpenSSL that is inside Node, or that it is linked with, found at run time among the symbols that the node binary exports: no OpenSSL
 * headers are needed to build, and there is no second copy of the library. */
#ifndef WG_LIBCRYPTO_H
#define WG_LIBCRYPTO_H
#include <stddef.h>

struct wg_symbol {
  const char *name;
  void **slot;
};

/* Fills in all slots. Returns 0 if one of them is not exported. What several threads share is filled in by pthread_once alone, since each
 * worker thread that loads the addon looks for it. */
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
