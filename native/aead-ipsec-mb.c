/* AEAD by Intel's libIPSec_MB, if it is installed (Debian, Ubuntu: libipsec-mb1). The library is
 * opened at run time, never linked.
 *
 * The library offers its functions through a struct of pointers, and its jobs are structs, so this
 * file declares a small part of its ABI. The declarations come from version 1.3 and hold for all of
 * 1.x, because the library promises to add members only at the end. Three checks prevent a crash
 * with a different library: the version, the names of the functions in the slots, and the self-test
 * of aead.c. Version 2 has a different layout and file name, and is not used. */
#define _GNU_SOURCE
#include "aead.h"
#include <stdlib.h>

#if defined(__x86_64__)
#include <dlfcn.h>
#include <string.h>

struct job {
  const void *enc_keys, *dec_keys;
  uint64_t key_length;
  const uint8_t *src;
  uint8_t *dst;
  uint64_t cipher_offset, cipher_length, hash_offset, hash_length;
  const uint8_t *iv;
  uint64_t iv_length;
  uint8_t *tag;
  uint64_t tag_length;
  const void *aad;
  uint64_t aad_length;
  void *sgl_context;
  int32_t status, cipher_mode, direction, hash, order;
  /* more members follow, which we do not use */
};

enum {
  CIPHER_CHACHA20_POLY1305 = 19,
  AUTH_CHACHA20_POLY1305 = 29,
  DIRECTION_ENCRYPT = 1,
  DIRECTION_DECRYPT = 2,
  ORDER_CIPHER_HASH = 1,
  ORDER_HASH_CIPHER = 2,
  STATUS_COMPLETED = 3,
  OLDEST = 0x10100,
  TOO_NEW = 0x20000,
};

/* IMB_MGR: flags, features, five reserved words, architecture and errno, followed by the
 * functions. */
struct manager {
  uint64_t head[8];
  struct job *(*get_next_job)(struct manager *);
  struct job *(*submit_job)(struct manager *);
  struct job *(*submit_job_nocheck)(struct manager *);
  struct job *(*get_completed_job)(struct manager *);
  struct job *(*flush_job)(struct manager *);
};

struct state {
  struct manager *manager;
  void (*release)(struct manager *);
};

/* Reports whether a slot holds the expected function. The library exports its functions by name. */
static int named(void *function, const char *prefix) {
  Dl_info info;
  return function && dladdr(function, &info) && info.dli_sname && info.dli_saddr == function &&
         strncmp(info.dli_sname, prefix, strlen(prefix)) == 0;
}

static void destroy(void *pointer) {
  struct state *s = pointer;
  if (s->manager) s->release(s->manager);
  free(s);
}

static void *create(const char **why) {
  /* the library is never closed, because another thread may be running its code */
  void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *why = "libIPSec_MB.so.1 is not installed";
    return NULL;
  }
  unsigned (*version)(void) = (unsigned (*)(void))dlsym(library, "imb_get_version");
  struct manager *(*allocate)(uint64_t) = (struct manager * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
  void (*release)(struct manager *) = (void (*)(struct manager *))dlsym(library, "free_mb_mgr");
  void (*init)(struct manager *, int *) = (void (*)(struct manager *, int *))dlsym(library, "init_mb_mgr_auto");
  if (!version || !allocate || !release || !init || version() < OLDEST || version() >= TOO_NEW) {
    *why = "this libIPSec_MB is not of a version from 1.1 to 1.x";
    return NULL;
  }
  struct state *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->release = release;
  s->manager = allocate(0);
  if (s->manager) {
    init(s->manager, NULL);
    if (named((void *)s->manager->get_next_job, "get_next_job") && named((void *)s->manager->submit_job, "submit_job_") &&
        named((void *)s->manager->submit_job_nocheck, "submit_job_nocheck") && named((void *)s->manager->flush_job, "flush_job"))
      return s;
  }
  *why = "this libIPSec_MB is laid out differently";
  destroy(s);
  return NULL;
}

struct scratch {
  uint8_t nonce[12];
  uint8_t tag[WG_TAG_SIZE];
};

static void run(struct state *s, struct wg_aead_op *ops, int count, int direction) {
  struct manager *m = s->manager;
  struct scratch scratch[WG_AEAD_BATCH];
  struct job *done;
  int completed = 0;
  for (int i = 0; i < count; i++) {
    struct wg_aead_op *op = ops + i;
    memset(scratch[i].nonce, 0, 4);
    memcpy(scratch[i].nonce + 4, &op->counter, 8); /* little endian, as every x86 is */
    struct job *job = m->get_next_job(m);
    job->enc_keys = job->dec_keys = op->key;
    job->key_length = WG_KEY_SIZE;
    job->src = job->dst = op->text;
    job->cipher_offset = job->hash_offset = 0;
    job->cipher_length = job->hash_length = op->length;
    job->iv = scratch[i].nonce;
    job->iv_length = sizeof scratch[i].nonce;
    job->tag = direction == DIRECTION_ENCRYPT ? op->text + op->length : scratch[i].tag;
    job->tag_length = WG_TAG_SIZE;
    job->aad = scratch[i].nonce; /* empty, but some versions refuse a null pointer */
    job->aad_length = 0;
    job->sgl_context = NULL;
    job->cipher_mode = CIPHER_CHACHA20_POLY1305;
    job->hash = AUTH_CHACHA20_POLY1305;
    job->direction = direction;
    job->order = direction == DIRECTION_ENCRYPT ? ORDER_CIPHER_HASH : ORDER_HASH_CIPHER;
    /* our arguments need no check, and the unchecked call saves 0.02 us */
    done = m->submit_job_nocheck(m);
    if (done && done->status == STATUS_COMPLETED) completed++;
  }
  while ((done = m->flush_job(m)))
    if (done->status == STATUS_COMPLETED) completed++;
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    if (direction == DIRECTION_DECRYPT) op->ok = completed == count && !wg_tags_differ(scratch[op - ops].tag, op->text + op->length);
    else if (completed == count) op->ok = 1;
    else { /* erase the text, so that no plaintext is sent */
      memset(op->text, 0, op->length + WG_TAG_SIZE);
      op->ok = 0;
    }
  }
}

static void seal(void *s, struct wg_aead_op *ops, int count) { run(s, ops, count, DIRECTION_ENCRYPT); }
static void open_(void *s, struct wg_aead_op *ops, int count) { run(s, ops, count, DIRECTION_DECRYPT); }

#else

static void *create(const char **why) {
  *why = "libIPSec_MB is for x86-64";
  return NULL;
}
static void destroy(void *pointer) { (void)pointer; }
static void seal(void *s, struct wg_aead_op *ops, int count) { (void)s, (void)ops, (void)count; }
static void open_(void *s, struct wg_aead_op *ops, int count) { (void)s, (void)ops, (void)count; }

#endif

const struct wg_aead wg_aead_ipsec_mb = {"ipsec-mb", create, destroy, seal, open_};
