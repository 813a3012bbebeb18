/* Looks up symbols of OpenSSL; libcrypto.h describes it. */
#define _GNU_SOURCE
#include "libcrypto.h"
#include <dlfcn.h>

int wg_find_symbols(const struct wg_symbol *symbols, size_t count) {
  for (const struct wg_symbol *symbol = symbols; symbol < symbols + count; symbol++)
    if (!(*symbol->slot = dlsym(RTLD_DEFAULT, symbol->name))) return 0;
  return 1;
}
