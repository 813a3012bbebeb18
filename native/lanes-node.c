/* Lanes (lanes.h) for JavaScript. A handle refers to the lanes of one cipher. */
#define _GNU_SOURCE
#include "cipher.h"
#include "lanes.h"
#include "offload.h"
#include "tun.h"
#include "udp.h"
#include <errno.h>
#include <stdlib.h>

static const napi_type_tag KIND = {WG_TAG, 0x77676c616e657331};

/* What lanesDone writes. */
enum {
  DONE_SEALED,
  DONE_OPENED,
  DONE_WRITTEN,
  DONE_SEND_ERRORS,
  DONE_DROPPED,
  DONE_REFUSED,
  DONE_GONE,
  DONE_SIZE,
};

/* ---- what follows sealing and opening ---- */

static int64_t send_tail(void *udp, struct wg_span slab, int32_t *desc, uint8_t *endpoints, int32_t count) {
  return wg_udp_send_all(udp, slab.bytes, slab.length, desc, endpoints, count);
}

static int64_t write_tail(void *tun, struct wg_span slab, int32_t *desc, uint8_t *endpoints, int32_t count) {
  (void)endpoints;
  return wg_tun_write_all(tun, slab.bytes, slab.length, desc, count);
}

/* Remembers in a device which lanes may use it. */
static void tie(struct wg_lanes **device, struct wg_lanes *lanes) {
  if (*device == lanes) return;
  wg_lanes_settle(*device);
  wg_lanes_unref(*device);
  *device = wg_lanes_ref(lanes);
}

/* ---- arguments ---- */

static struct wg_lanes *get_lanes(napi_env env, napi_value value) { return wg_handle(env, value, &KIND); }

static int get_span(napi_env env, napi_value value, struct wg_span *span) {
  struct wg_array array;
  if (!wg_array(env, value, napi_uint8_array, &array)) return 0;
  *span = (struct wg_span){array.data, array.length};
  return 1;
}

/* Reads an array and how many records of `stride` numbers to use, which it must have. */
static int get_records(napi_env env, napi_value value, napi_value number, size_t stride, int32_t **records, int32_t *count) {
  struct wg_array array;
  if (!wg_array(env, value, napi_int32_array, &array) || !wg_int(env, number, count)) return 0;
  *records = array.data;
  if (*count >= 0 && (size_t)*count <= array.length / stride) return 1;
  wg_throw_type(env, "more records than the array has");
  return 0;
}

static napi_value lend(napi_env env, struct wg_lanes *lanes, int queue, const struct wg_work *work) {
  napi_value result = NULL;
  napi_get_boolean(env, wg_lanes_lend(lanes, queue, work), &result);
  return result;
}

/* ---- functions for JavaScript ---- */

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  wg_lanes_close(data);
  wg_lanes_unref(data);
}

/* lanesOpen(cipher, threads): returns a handle for `threads` lanes, of which the calling thread is
 * one. A cipher has lanes once. */
static napi_value lanes_open(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  struct wg_cipher *cipher;
  int32_t threads;
  if (!wg_arguments(env, info, arguments, 2) || !(cipher = wg_handle(env, arguments[0], &WG_CIPHER_KIND)) || !wg_int(env, arguments[1], &threads))
    return NULL;
  if (cipher->lanes) return wg_throw_errno(env, "lanesOpen", EEXIST);
  struct wg_lanes *lanes = wg_lanes_open(&cipher->lane, threads);
  if (!lanes) return wg_throw_errno(env, "lanesOpen", ENOMEM);
  if (!(result = wg_make_handle(env, lanes, release, &KIND))) {
    wg_lanes_unref(lanes);
    return NULL;
  }
  cipher->lanes = wg_lanes_ref(lanes);
  return result;
}

/* lanesClose(lanes): finishes all work and ends the threads. May be called again. */
static napi_value lanes_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_lanes *lanes;
  if (!wg_arguments(env, info, &argument, 1) || !(lanes = get_lanes(env, argument))) return NULL;
  wg_lanes_close(lanes);
  return wg_undefined(env);
}

/* lanesSeal(lanes, udp, input, jobs, count, output, desc, endpoints, datagrams): seals jobs, whose
 * results are predicted, from `input` into `output`, and then sends datagrams of `output`. `udp` is
 * undefined to send nothing. Returns false if the queue is full. */
static napi_value lanes_seal(napi_env env, napi_callback_info info) {
  napi_value arguments[9];
  struct wg_lanes *lanes;
  struct wg_udp *udp = NULL;
  struct wg_work work = {.tail = {.run = send_tail}};
  struct wg_array endpoints;
  napi_valuetype type;
  int32_t jobs;
  if (!wg_arguments(env, info, arguments, 9) || !(lanes = get_lanes(env, arguments[0])) || napi_typeof(env, arguments[1], &type) != napi_ok ||
      (type != napi_undefined && !(udp = wg_handle(env, arguments[1], &WG_UDP_KIND))) || !get_span(env, arguments[2], &work.input) ||
      !get_records(env, arguments[3], arguments[4], SEAL_STRIDE, &work.jobs, &jobs) || !get_span(env, arguments[5], &work.output) ||
      !get_records(env, arguments[6], arguments[8], DATAGRAM_STRIDE, &work.tail.desc, &work.tail.count) ||
      !wg_array(env, arguments[7], napi_uint8_array, &endpoints))
    return NULL;
  if ((size_t)work.tail.count > endpoints.length / ENDPOINT_SIZE) return wg_throw_type(env, "more datagrams than endpoints");
  work.count = (size_t)jobs;
  work.tail.endpoints = endpoints.data;
  work.tail.device = udp;
  if (udp) tie(&udp->lanes, lanes);
  return lend(env, lanes, WG_QUEUE_SEAL, &work);
}

/* lanesUnseal(lanes, slab, jobs, count): opens messages in place. Returns false if the queue is
 * full. */
static napi_value lanes_unseal(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct wg_lanes *lanes;
  struct wg_work work = {0};
  int32_t jobs;
  if (!wg_arguments(env, info, arguments, 4) || !(lanes = get_lanes(env, arguments[0])) || !get_span(env, arguments[1], &work.output) ||
      !get_records(env, arguments[2], arguments[3], OPEN_STRIDE, &work.jobs, &jobs))
    return NULL;
  work.count = (size_t)jobs;
  return lend(env, lanes, WG_QUEUE_OPEN, &work);
}

/* lanesWrite(lanes, tun, slab, desc, count): merges and writes packets, as tunWrite does. Returns
 * false if the queue is full. */
static napi_value lanes_write(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  struct wg_lanes *lanes;
  struct wg_tun *tun;
  struct wg_work work = {.tail = {.run = write_tail}};
  if (!wg_arguments(env, info, arguments, 5) || !(lanes = get_lanes(env, arguments[0])) ||
      !(tun = wg_handle(env, arguments[1], &WG_TUN_KIND)) || !get_span(env, arguments[2], &work.output) ||
      !get_records(env, arguments[3], arguments[4], WG_PACKET_STRIDE, &work.tail.desc, &work.tail.count))
    return NULL;
  work.tail.device = tun;
  tie(&tun->lanes, lanes);
  return lend(env, lanes, WG_QUEUE_WRITE, &work);
}

/* lanesHelp(lanes): does one part or tail. Returns false if all were taken. */
static napi_value lanes_help(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  struct wg_lanes *lanes;
  if (!wg_arguments(env, info, &argument, 1) || !(lanes = get_lanes(env, argument))) return NULL;
  napi_get_boolean(env, wg_lanes_help(lanes), &result);
  return result;
}

/* lanesDone(lanes, out): writes DONE_SIZE numbers, of what came back since the last call. */
static napi_value lanes_done(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_lanes *lanes;
  struct wg_array out;
  if (!wg_arguments(env, info, arguments, 2) || !(lanes = get_lanes(env, arguments[0])) || !wg_array(env, arguments[1], napi_int32_array, &out))
    return NULL;
  if (out.length < DONE_SIZE) return wg_throw_type(env, "out has no room for 7 numbers");
  struct wg_lanes_back back;
  wg_lanes_done(lanes, &back);
  int32_t *to = out.data;
  to[DONE_SEALED] = back.batches[WG_QUEUE_SEAL];
  to[DONE_OPENED] = back.batches[WG_QUEUE_OPEN];
  to[DONE_WRITTEN] = back.batches[WG_QUEUE_WRITE];
  to[DONE_SEND_ERRORS] = (int32_t)back.errors[WG_QUEUE_SEAL];
  to[DONE_DROPPED] = (int32_t)back.errors[WG_QUEUE_WRITE];
  to[DONE_REFUSED] = back.refused;
  to[DONE_GONE] = back.gone;
  return wg_undefined(env);
}

/* lanesNext(lanes): waits until a batch comes back, or no work is left. */
static napi_value lanes_next(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_lanes *lanes;
  if (!wg_arguments(env, info, &argument, 1) || !(lanes = get_lanes(env, argument))) return NULL;
  wg_lanes_next(lanes);
  return wg_undefined(env);
}

/* lanesFd(lanes): returns a descriptor for pollStart, readable when a batch was opened after
 * lanesWatch. */
static napi_value lanes_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_lanes *lanes;
  if (!wg_arguments(env, info, &argument, 1) || !(lanes = get_lanes(env, argument))) return NULL;
  return wg_number(env, wg_lanes_fd(lanes));
}

/* lanesWatch(lanes): asks for that. Returns false if no batch is left to open, or one has come back
 * already. */
static napi_value lanes_watch(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  struct wg_lanes *lanes;
  if (!wg_arguments(env, info, &argument, 1) || !(lanes = get_lanes(env, argument))) return NULL;
  napi_get_boolean(env, wg_lanes_watch(lanes), &result);
  return result;
}

/* lanesTimes(lanes, out): writes milliseconds of processor time: of the calling thread, and of the
 * others' work together. */
static napi_value lanes_times(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_lanes *lanes;
  struct wg_array out;
  if (!wg_arguments(env, info, arguments, 2) || !(lanes = get_lanes(env, arguments[0])) || !wg_array(env, arguments[1], napi_float64_array, &out))
    return NULL;
  if (out.length < 2) return wg_throw_type(env, "out has no room for 2 numbers");
  uint64_t own, others;
  wg_lanes_times(lanes, &own, &others);
  double *to = out.data;
  to[0] = (double)own / 1e6;
  to[1] = (double)others / 1e6;
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"lanesOpen", lanes_open},
    {"lanesClose", lanes_close},
    {"lanesSeal", lanes_seal},
    {"lanesUnseal", lanes_unseal},
    {"lanesWrite", lanes_write},
    {"lanesHelp", lanes_help},
    {"lanesDone", lanes_done},
    {"lanesNext", lanes_next},
    {"lanesFd", lanes_fd},
    {"lanesWatch", lanes_watch},
    {"lanesTimes", lanes_times},
    {NULL, NULL},
};
const struct wg_exports wg_exports_lanes = {FUNCTIONS, NULL};
