/* The OpenSSL that is inside Node, or that Node is linked with. It is found at run time among the
 * symbols that the node binary exports. So the build needs no OpenSSL headers, and the process
 * holds no second copy of the library. */
#ifndef WG_LIBCRYPTO_H
#define WG_LIBCRYPTO_H
#include <stddef.h>

struct wg_symbol {
  const char *name;
  void **slot;
};

/* Looks up all symbols and stores them in their slots. Returns 0 if a symbol is not exported. Each
 * worker thread that loads the addon looks up the symbols; slots that several threads share must
 * therefore be filled through pthread_once. */
int wg_find_symbols(const struct wg_symbol *symbols, size_t count);
#define WG_FIND_SYMBOLS(symbols) wg_find_symbols(symbols, sizeof(symbols) / sizeof *(symbols))

/* From openssl/core.h. */
enum { OSSL_PARAM_UNSIGNED_INTEGER = 2, OSSL_PARAM_UTF8_STRING = 4, OSSL_PARAM_OCTET_STRING = 5 };
struct ossl_param {
  const char *key;
  unsigned int type;
  void *data;
  size_t size, returned;
};
#endif
