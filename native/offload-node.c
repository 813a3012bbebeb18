/* Exports split and merge to JavaScript, for tests and benchmarks. On the data path, cipher.c and
 * tun-write.c call them. */
#include "addon.h"
#include "offload.h"

/* offloadSplit(slab, offset, length, out, stride): writes the segments to `out`, `stride` bytes
 * apart. Returns their number; 0 if the packet is malformed; -1 if `out` is too small. */
static napi_value offload_split(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  struct wg_array slab, out;
  int32_t offset, length, stride;
  if (!wg_arguments(env, info, arguments, 5) || !wg_array(env, arguments[0], napi_uint8_array, &slab) ||
      !wg_int(env, arguments[1], &offset) || !wg_int(env, arguments[2], &length) ||
      !wg_array(env, arguments[3], napi_uint8_array, &out) || !wg_int(env, arguments[4], &stride))
    return NULL;
  struct wg_split plan;
  if (offset < 0 || length <= 0 || (size_t)offset + (size_t)length > slab.length) return wg_number(env, 0);
  if (!wg_split_plan(&plan, (const uint8_t *)slab.data + offset, (size_t)length)) return wg_number(env, 0);
  if (stride < 0 || (uint32_t)stride < wg_split_length(&plan, 0) || (uint64_t)stride * plan.count > out.length) return wg_number(env, -1);
  for (uint32_t i = 0; i < plan.count; i++) wg_split_write(&plan, i, (uint8_t *)out.data + (size_t)stride * i);
  return wg_number(env, plan.count);
}

/* offloadMerge(slab, desc, count, allowed, groups, next, port, address): merges packets. The last
 * two numbers are those of struct wg_overlay. Returns the number of groups. Ignores packets for
 * which the arrays have no room. */
static napi_value offload_merge(napi_env env, napi_callback_info info) {
  napi_value arguments[8];
  struct wg_array slab, desc, groups, next;
  int32_t count, allowed, port, address;
  if (!wg_arguments(env, info, arguments, 8) || !wg_array(env, arguments[0], napi_uint8_array, &slab) ||
      !wg_array(env, arguments[1], napi_int32_array, &desc) || !wg_int(env, arguments[2], &count) ||
      !wg_int(env, arguments[3], &allowed) || !wg_array(env, arguments[4], napi_int32_array, &groups) ||
      !wg_array(env, arguments[5], napi_int32_array, &next) || !wg_int(env, arguments[6], &port) || !wg_int(env, arguments[7], &address))
    return NULL;
  struct wg_overlay overlay = {(uint16_t)port, (uint32_t)address};
  size_t room = desc.length / WG_PACKET_STRIDE;
  if (groups.length / WG_GROUP_STRIDE < room) room = groups.length / WG_GROUP_STRIDE;
  if (next.length < room) room = next.length;
  if (count < 0) count = 0;
  if ((size_t)count > room) count = (int32_t)room;
  return wg_number(env, wg_merge(slab.data, slab.length, desc.data, count, allowed, &overlay, groups.data, next.data));
}

static const struct wg_function FUNCTIONS[] = {
    {"offloadSplit", offload_split},
    {"offloadMerge", offload_merge},
    {NULL, NULL},
};
const struct wg_exports wg_exports_offload = {FUNCTIONS, NULL};
