/* Makes batches of packets from an input: mostly packets of a few flows that may be merged, some of
 * them damaged. Also reads packets back, and tells whether two of them are the same to a
 * receiver. */
#ifndef WG_FUZZ_PACKETS_H
#define WG_FUZZ_PACKETS_H
#include "input.h"
#include "ip.h"
#include "offload.h"

enum { MOST_PACKETS = 80 };

struct batch {
  uint8_t *slab; /* of exactly this size */
  size_t length;
  int32_t *desc; /* of exactly `count` packets */
  int count;
};

/* Reads packets until the input ends or MOST_PACKETS are made. */
struct batch make_batch(struct input *in);
struct batch copy_batch(const struct batch *batch);
void free_batch(struct batch *batch);

/* Returns packet i and its length; NULL if its descriptor lies outside the slab. */
const uint8_t *packet_of(const struct batch *batch, int i, uint32_t *length);

/* Reports whether the checksums of IPv4, TCP and UDP are right. */
int sums_are_right(const uint8_t *packet, uint32_t length);
/* Reports whether the packets are equal, except for what merging may change: the identification of
 * an IPv4 packet that must not be fragmented, and the two forms of the sum 0. */
int same_packet(const uint8_t *a, const uint8_t *b, uint32_t length);
/* Reports whether the two are of one flow of TCP or UDP. */
int same_flow(const uint8_t *a, uint32_t a_length, const uint8_t *b, uint32_t b_length);
#endif
