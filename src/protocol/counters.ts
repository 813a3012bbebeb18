/**
 * Every reason for which something was dropped, and a few things worth counting, by name. Numbers that only grow; what a
 * person reads in `wgts show --json`. Network input never throws: it ends in one of these.
 */

/**
 * Reasons for which something was dropped, and a few other events, by name. Numbers only grow;
 * `wgts show --json` prints them. Network input never throws: it ends in one of these.
 */
export class Counters {
  /** No known message type, or a wrong size for its type. */
  malformedDatagram = 0;
  /** A transport message, response or cookie reply for an index that nobody has. */
  unknownReceiver = 0;
  /** A handshake message whose mac1 is wrong: it is not for this device's key. */
  badMac1 = 0;
  /** A handshake message whose mac2 is wrong, while the device is under load. */
  badMac2 = 0;
  /** Answered with a cookie instead of a handshake. */
  cookiesSent = 0;
  /** A cookie reply that does not open. */
  badCookie = 0;
  /** Handshake messages beyond the rate limit of their source address. */
  rateLimited = 0;
  /** Handshake messages that found the queue full. */
  handshakeQueueFull = 0;
  /** A handshake message that does not open, or holds a point of low order. */
  badHandshake = 0;
  /** An initiation from a key that is no peer's. */
  unknownPeer = 0;
  /** An initiation whose timestamp is not after the last one's. */
  replayedInitiation = 0;
  /** Initiations of one peer less than 20 ms apart. */
  initiationFlood = 0;
  /** A transport message whose tag is wrong. */
  badTag = 0;
  /** A counter seen before, or behind the window. */
  replayed = 0;
  /** A transport message under a key that is past its time. */
  expiredKey = 0;
  /** What came out of a tunnel is no IP packet. */
  malformedPacket = 0;
  /** A packet out of a tunnel whose source belongs to another peer, or none. */
  sourceNotAllowed = 0;
  /** A packet from the TUN that cannot be read or split. */
  malformedOutbound = 0;
  /** A packet from the TUN whose message fits into no UDP datagram, or a super-packet whose messages fit into no batch. */
  oversized = 0;
  /** A packet for a destination that no peer has. */
  noPeer = 0;
  /** A packet for a peer whose address is not known. */
  noEndpoint = 0;
  /** A datagram of our own, or a fragment of one, that routing led back into the tunnel to the same peer. */
  routingLoop = 0;
  /** Packets pushed out of a full staging queue, oldest first. */
  stagedOverflow = 0;
  /** Staged packets given up with the handshake they waited for. */
  stagedExpired = 0;
  /** The cipher refused a packet; nothing was sent. */
  sealRefused = 0;
  /** Arrived while the device was down. */
  deviceDown = 0;
  /** No key slot or no memory for another session. */
  noKeySlot = 0;
  /** Initiations answered. */
  handshakesAnswered = 0;
  /** Initiations sent. */
  initiationsSent = 0;
  /** Sessions established. */
  sessions = 0;
}

export type CounterName = keyof Counters;
