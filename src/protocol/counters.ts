/**
 * Counts drops by their reason, and a few other events. Counters only grow; `wgts show --json`
 * prints them. Network input never throws: what is invalid increments a counter.
 */
export class Counters {
  /** A datagram of unknown type, or of the wrong size for its type. */
  malformedDatagram = 0;
  /** A transport message, response or cookie reply for an index that is not in use. */
  unknownReceiver = 0;
  /** A handshake message whose mac1 is wrong: it is not for this device's key. */
  badMac1 = 0;
  /** A handshake message whose mac2 is wrong, while the device is under load. */
  badMac2 = 0;
  /** Answered with a cookie instead of a handshake. */
  cookiesSent = 0;
  /** A cookie reply that does not decrypt. */
  badCookie = 0;
  /** Handshake messages beyond the rate limit of their source address. */
  rateLimited = 0;
  /** Handshake messages that found the queue full. */
  handshakeQueueFull = 0;
  /** A handshake message that does not decrypt, or holds a point of low order. */
  badHandshake = 0;
  /** An initiation from a key that belongs to no peer. */
  unknownPeer = 0;
  /** An initiation whose timestamp is not greater than the last one's. */
  replayedInitiation = 0;
  /** An initiation less than 20 ms after the peer's last one. */
  initiationFlood = 0;
  /** A transport message whose tag is wrong. */
  badTag = 0;
  /** A transport message whose counter was seen before or is older than the window. */
  replayed = 0;
  /** A transport message under an expired key. */
  expiredKey = 0;
  /** A message whose plaintext is not an IP packet. */
  malformedPacket = 0;
  /** A packet from a tunnel whose source address belongs to another peer or to no peer. */
  sourceNotAllowed = 0;
  /** A packet from the TUN that cannot be parsed or split. */
  malformedOutbound = 0;
  /**
   * A packet from the TUN whose message exceeds any UDP datagram, or a super-packet whose messages
   * exceed a batch.
   */
  oversized = 0;
  /** A packet for a destination that belongs to no peer. */
  noPeer = 0;
  /** A packet for a peer whose endpoint is unknown. */
  noEndpoint = 0;
  /**
   * A datagram of this device, or a fragment of one, that routing led back into the tunnel to the
   * same peer.
   */
  routingLoop = 0;
  /** Packets dropped from a full staging queue, oldest first. */
  stagedOverflow = 0;
  /** Packets dropped because the staged packets of all peers had used up their memory. */
  stagedOverBudget = 0;
  /** Staged packets dropped when their handshake was given up. */
  stagedExpired = 0;
  /** The cipher refused a packet; nothing was sent. */
  sealRefused = 0;
  /** Datagrams and packets that arrived while the device was down. */
  deviceDown = 0;
  /** Datagrams and packets that arrived between freeze() and thaw() or close(). */
  frozen = 0;
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
