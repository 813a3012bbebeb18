/* Fuzz target: the jobs of the transport cipher (native/cipher.c), with an AEAD that only looks
 * like one. What is sealed is opened again and compared. Numbers that do not fit are refused, and
 * nothing outside of a job's own range changes.
 *
 * Input: bytes of the output (2), number of jobs (1), what to break (1), 4 bytes for each job, then
 * packets (packets.c). */
#include "aead.h"
#include "node-api.h"
#include "packets.h"

/* The fields of jobs, as in native/cipher.c. */
enum { IN_OFFSET, IN_LENGTH, KEY, RECEIVER, LOW, HIGH, COUNT, OUT_OFFSET, MTU, OUT_LENGTH, OUT_SEGMENT, SEAL_STRIDE = 12 };
enum { OPEN_OFFSET, OPEN_LENGTH, OPEN_KEY, OPEN_LOW, OPEN_HIGH, OPEN_RESULT, OPEN_STRIDE = 8 };
enum { MOST_JOBS = 24, KEYS = 4, UNUSED = 0x5a, OVERHEAD = 32 };

/* ---- an AEAD that reads and writes what a real one does ---- */

WG_UNCOUNTED static uint8_t pad(const struct wg_aead_op *op, uint32_t i) { return (uint8_t)(op->key[i % WG_KEY_SIZE] + op->counter + i * 3); }

WG_UNCOUNTED static void put_tag(const struct wg_aead_op *op, uint8_t tag[WG_TAG_SIZE]) {
  uint64_t sum = op->counter * 31 + op->key[0] + op->length;
  for (uint32_t i = 0; i < op->length; i++) sum = sum * 31 + op->text[i];
  for (int i = 0; i < WG_TAG_SIZE; i++) tag[i] = (uint8_t)(sum >> 4 * i);
}

static void *create(const char **why) {
  (void)why;
  return exactly(1);
}

WG_UNCOUNTED static void seal(void *state, struct wg_aead_op *ops, int count) {
  (void)state;
  must(count > 0 && count <= WG_AEAD_BATCH, "a call has at most a batch");
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    for (uint32_t i = 0; i < op->length; i++) op->text[i] ^= pad(op, i);
    put_tag(op, op->text + op->length);
    op->ok = 1;
  }
}

WG_UNCOUNTED static void open_all(void *state, struct wg_aead_op *ops, int count) {
  (void)state;
  must(count > 0 && count <= WG_AEAD_BATCH, "a call has at most a batch");
  for (struct wg_aead_op *op = ops; op < ops + count; op++) {
    uint8_t tag[WG_TAG_SIZE];
    put_tag(op, tag);
    op->ok = !wg_tags_differ(tag, op->text + op->length);
    for (uint32_t i = 0; op->ok && i < op->length; i++) op->text[i] ^= pad(op, i);
  }
}

static const struct wg_aead FAKE = {"fake", create, free, seal, open_all};
const struct wg_aead *const wg_aead_all[] = {&FAKE, NULL};
void *wg_aead_make(const struct wg_aead *aead, const char **why) { return aead->create(why); }
double wg_aead_speed(const struct wg_aead *aead, void *state) {
  (void)aead, (void)state;
  return 1;
}

/* ---- the target ---- */

/* Puts a vnet header before each packet; for some, one that says that the packet is to be split. */
static void add_headers(struct batch *batch, const uint8_t *bytes) {
  size_t length = batch->length + (size_t)batch->count * WG_VNET_HEADER_SIZE, at = 0;
  uint8_t *slab = exactly(length);
  memset(slab, 0, length);
  for (int i = 0; i < batch->count; i++) {
    uint32_t size;
    const uint8_t *packet = packet_of(batch, i, &size);
    if (!packet || at + WG_VNET_HEADER_SIZE + size > length) continue;
    uint8_t shape = bytes[i % (MOST_JOBS * 4)], six = packet[0] >> 4 == 6, *vnet = slab + at;
    int udp = size > IPV6_HEADER && packet[six ? IPV6_NEXT_HEADER : IPV4_PROTOCOL] == UDP;
    if (shape & 8) vnet[1] = udp ? WG_GSO_UDP_L4 : six ? WG_GSO_TCPV6 : WG_GSO_TCPV4;
    wg_put_le16(vnet + 4, 1 + shape * 4u);
    memcpy(vnet + WG_VNET_HEADER_SIZE, packet, size);
    batch->desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET] = (int32_t)at;
    batch->desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH] = (int32_t)(WG_VNET_HEADER_SIZE + size);
    at += WG_VNET_HEADER_SIZE + size;
  }
  free(batch->slab);
  batch->slab = copy_of(slab, at);
  batch->length = at;
  free(slab);
}

static int32_t *make_jobs(struct input *in, const struct batch *batch, const uint8_t *bytes, int count, int broken) {
  int32_t *jobs = exactly((size_t)count * SEAL_STRIDE * sizeof *jobs);
  int64_t out = 0;
  for (int j = 0; j < count; j++) {
    int32_t *job = jobs + j * SEAL_STRIDE;
    uint32_t shape = bytes[j * 4], length = 0;
    int i = batch->count ? bytes[j * 4 + 1] % batch->count : 0;
    const uint8_t *range = batch->count ? packet_of(batch, i, &length) : NULL;
    struct wg_split plan = {.count = 1};
    if (length > WG_VNET_HEADER_SIZE) wg_split_plan(&plan, range, length);
    memset(job, 0, SEAL_STRIDE * sizeof *job);
    job[IN_OFFSET] = range ? (int32_t)(range - batch->slab) : 0;
    job[IN_LENGTH] = shape & 0x80 ? WG_VNET_HEADER_SIZE : (int32_t)length;
    job[KEY] = (int32_t)(shape % (KEYS + 1));
    job[RECEIVER] = (int32_t)(bytes[j * 4 + 2] * 0x01010101u);
    job[LOW] = shape & 0x40 ? -3 : j * 5000;
    job[HIGH] = shape & 0x20 ? -1 : 0;
    job[COUNT] = shape & 0x80 ? 1 : (int32_t)plan.count;
    job[OUT_OFFSET] = (int32_t)out;
    job[MTU] = bytes[j * 4 + 3] * 8;
    out += shape & 0x80 ? OVERHEAD : (int64_t)wg_sealed_size(&plan, job[MTU]);
    if (broken & 1 && shape & 0x10) {
      int which = (int)take(in, 1) % SEAL_STRIDE;
      job[which] = (int32_t)take(in, 4);
    }
  }
  return jobs;
}

/* Returns the segments of a job, as the job says what to seal. */
static uint32_t plan_job(struct wg_split *plan, const struct batch *batch, const int32_t *job) {
  *plan = (struct wg_split){.count = 1};
  if (job[IN_LENGTH] == WG_VNET_HEADER_SIZE) return 1;
  return wg_split_plan(plan, batch->slab + job[IN_OFFSET], (size_t)job[IN_LENGTH]);
}

/* Opens the messages of a sealed job in place, one after the other, and compares the plain text. */
static void open_again(napi_value cipher, const struct batch *batch, const int32_t *job, uint8_t *output, size_t room) {
  struct wg_split plan;
  uint32_t count = plan_job(&plan, batch, job);
  must(count == (uint32_t)job[COUNT], "a job with a wrong count is refused");
  int64_t at = job[OUT_OFFSET], end = at + job[OUT_LENGTH];
  uint64_t counter = (uint64_t)(uint32_t)job[HIGH] << 32 | (uint32_t)job[LOW];
  must(at >= 0 && end <= (int64_t)room, "messages stay in the output");
  for (uint32_t i = 0; i < count; i++) {
    uint32_t size = job[IN_LENGTH] == WG_VNET_HEADER_SIZE ? 0 : wg_split_length(&plan, i);
    uint32_t padded = wg_padded_length(size, job[MTU]);
    uint8_t *message = output + at;
    must(at + OVERHEAD + padded <= end, "a job has room for its messages");
    must(message[0] == 4 && message[1] == 0 && message[2] == 0 && message[3] == 0, "a message is transport data");
    must(message[4] == (uint8_t)job[RECEIVER], "a message has its receiver");
    for (int b = 0; b < 8; b++) must(message[8 + b] == (uint8_t)((counter + i) >> 8 * b), "counters count, and do not wrap");
    must(counter + i >= counter, "counters do not wrap");
    must(i > 0 || job[OUT_SEGMENT] == (int32_t)(OVERHEAD + padded), "the segment's size is that of the first message");
    int32_t open_job[OPEN_STRIDE] = {(int32_t)at, (int32_t)(OVERHEAD + padded), job[KEY], (int32_t)(counter + i), (int32_t)((counter + i) >> 32)};
    fuzz_call(fuzz_export(&wg_exports_cipher, "cipherOpen"), 4,
              (napi_value[]){cipher, fuzz_bytes(output, room), fuzz_numbers(open_job, OPEN_STRIDE), fuzz_number(1)});
    must(open_job[OPEN_RESULT] == (int32_t)padded, "what was sealed can be opened");
    uint8_t *plain = calloc(padded + 1, 1);
    must(plain != NULL, "out of memory");
    if (size) wg_split_write(&plan, i, plain);
    must(memcmp(plain, message + 16, padded) == 0, "the plain text comes back, with zeros as padding");
    free(plain);
    at += OVERHEAD + padded;
  }
  must(at == end, "a job has no more than its messages");
}

/* Reports whether the outputs of all sealed jobs are apart. */
static int are_apart(const int32_t *jobs, int count) {
  for (int a = 0; a < count; a++)
    for (int b = 0; b < a; b++) {
      const int32_t *p = jobs + a * SEAL_STRIDE, *q = jobs + b * SEAL_STRIDE;
      if (p[OUT_LENGTH] && q[OUT_LENGTH] && p[OUT_OFFSET] < q[OUT_OFFSET] + q[OUT_LENGTH] && q[OUT_OFFSET] < p[OUT_OFFSET] + p[OUT_LENGTH]) return 0;
    }
  return 1;
}

WG_UNCOUNTED static void check_rest(const int32_t *jobs, int count, const uint8_t *output, size_t room) {
  uint8_t *rest = copy_of(output, room);
  for (int j = 0; j < count; j++) {
    const int32_t *job = jobs + j * SEAL_STRIDE;
    if (job[OUT_LENGTH]) memset(rest + job[OUT_OFFSET], UNUSED, (size_t)job[OUT_LENGTH]);
  }
  for (size_t i = 0; i < room; i++) must(rest[i] == UNUSED, "nothing is written outside of the messages");
  free(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  size_t room = take(&in, 2) * 4;
  int count = (int)take(&in, 1) % MOST_JOBS, broken = (int)take(&in, 1);
  uint8_t bytes[MOST_JOBS * 4] = {0};
  for (int i = 0; i < count * 4; i++) bytes[i] = (uint8_t)take(&in, 1);
  struct input numbers = in;
  struct batch batch = make_batch(&in);
  add_headers(&batch, bytes);
  uint8_t *output = exactly(room);
  memset(output, UNUSED, room);
  int32_t *jobs = make_jobs(&numbers, &batch, bytes, count, broken);
  napi_value cipher = fuzz_call(fuzz_export(&wg_exports_cipher, "cipherCreate"), 1, (napi_value[]){fuzz_text("fake")});
  for (int k = 0; k < KEYS; k++) {
    uint8_t key[WG_KEY_SIZE];
    memset(key, k + 1, sizeof key);
    fuzz_call(fuzz_export(&wg_exports_cipher, "cipherSetKey"), 3, (napi_value[]){cipher, fuzz_number(k), fuzz_bytes(key, sizeof key)});
  }
  fuzz_call(fuzz_export(&wg_exports_cipher, "cipherSeal"), 5,
            (napi_value[]){cipher, fuzz_bytes(batch.slab, batch.length), fuzz_bytes(output, room),
                           fuzz_numbers(jobs, (size_t)count * SEAL_STRIDE), fuzz_number(broken & 2 ? count + 5 : count)});
  int apart = are_apart(jobs, count);
  if (apart) check_rest(jobs, count, output, room);
  for (int j = 0; j < count; j++) {
    const int32_t *job = jobs + j * SEAL_STRIDE;
    must(job[OUT_LENGTH] == 0 || (job[KEY] >= 0 && job[KEY] < KEYS), "only a known key seals");
    if (apart && job[OUT_LENGTH]) open_again(cipher, &batch, job, output, room);
  }
  fuzz_end();
  free(jobs);
  free(output);
  free_batch(&batch);
  return 0;
}
