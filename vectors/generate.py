#!/usr/bin/env python3
"""Writes blake2s.json, kdf.json, tai64n.json and handshake.json beside itself.

Needs only Python 3.8 or newer. Follows the WireGuard whitepaper and no program, so that the
TypeScript is tested with values that it did not produce. Secrets are the BLAKE2s of their names,
so that another run writes the same bytes.
"""
import json
import pathlib
import struct

from check import check
from primitives import blake2s, hmac, mac, public_key, seal, x25519, xseal

HERE = pathlib.Path(__file__).parent
CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"


def secret(name, size=32):
    return blake2s(b"wireguard-ts vectors: " + name.encode())[:size]


def counted(n):
    return bytes(i % 251 for i in range(n))


def blake2s_cases():
    """Data lengths around the block size of 64, and keys of various lengths."""
    lengths = (0, 1, 3, 55, 63, 64, 65, 116, 127, 128, 129, 255, 1024)
    return {
        "hash": [{"data": counted(n), "out": blake2s(counted(n))} for n in lengths],
        "mac": [{"key": secret("mac")[:k], "data": counted(n), "out": mac(secret("mac")[:k], counted(n))} for k in (1, 16, 31, 32) for n in lengths],
        "hmac": [{"key": counted(k), "data": counted(n), "out": hmac(counted(k), counted(n))} for k in (0, 1, 32, 63, 64, 65, 200) for n in lengths],
    }


def kdf(key, data, n):
    """Whitepaper 5.4: tau_0 = Hmac(key, input); tau_i = Hmac(tau_0, tau_i-1 || i)."""
    tau0, out = hmac(key, data), [b""]
    for i in range(1, n + 1):
        out.append(hmac(tau0, out[-1] + bytes([i])))
    return out[1:]


def kdf_cases():
    """A chain as in a handshake: the first output of each step is the key of the next."""
    key, steps = blake2s(CONSTRUCTION), []
    for i, n in enumerate((1, 2, 2, 1, 2, 2, 3, 2)):
        data = b"" if i == 7 else secret(f"kdf input {i}")
        out = kdf(key, data, n)
        steps.append({"key": key, "input": data, "out": out})
        key = out[0]
    return {"steps": steps}


def tai64n(wall):
    """Whitened: the nanoseconds are rounded down to a multiple of 2^24."""
    seconds, nanoseconds = divmod(wall, 10**9)
    return struct.pack(">QI", 2**62 + 10 + seconds, nanoseconds & ~0xFFFFFF)


def tai64n_cases():
    walls = (0, 1, 2**24 - 1, 2**24, 999_999_999, 10**9, 1_500_000_000_123_456_789, 2**31 * 10**9, 2**32 * 10**9 + 16_777_217)
    return {"cases": [{"wall": str(w), "out": tai64n(w)} for w in walls]}


class State:
    def __init__(self, responder):
        self.c = blake2s(CONSTRUCTION)
        self.h = blake2s(blake2s(self.c, IDENTIFIER), responder)
        self.k = None

    def mix_hash(self, data):
        self.h = blake2s(self.h, data)

    def mix_key(self, data):
        self.c, self.k = kdf(self.c, data, 2)

    def ephemeral(self, public):
        self.mix_hash(public)
        self.c = kdf(self.c, public, 1)[0]

    def psk(self, psk):
        self.c, tau, self.k = kdf(self.c, psk, 3)
        self.mix_hash(tau)

    def seal(self, text):
        out = seal(self.k, bytes(12), text, self.h)
        self.mix_hash(out)
        return out


def with_macs(message, recipient, cookie=None):
    message += mac(blake2s(b"mac1----", recipient), message)
    return message + (mac(cookie, message) if cookie else bytes(16))


def inet_sum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def ping(source, target, kind, size):
    icmp = struct.pack(">BBHHH", kind, 0, 0, 0x7767, 1) + counted(size)
    icmp = icmp[:2] + inet_sum(icmp) + icmp[4:]
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0, bytes(source), bytes(target))
    return header[:10] + inet_sum(header) + header[12:] + icmp


def transport(key, receiver, counter, packet):
    nonce = bytes(4) + struct.pack("<Q", counter)
    header = struct.pack("<IIQ", 4, receiver, counter)
    return {"counter": str(counter), "packet": packet, "message": header + seal(key, nonce, packet + bytes(-len(packet) % 16), b"")}


def handshake(name, psk, address, port, wall):
    def named(what, size=32):
        return secret(f"{name}: {what}", size)

    si, sr, ei, er = (named(w) for w in ("initiator", "responder", "initiator's ephemeral", "responder's ephemeral"))
    pi, pr, epi, epr = map(public_key, (si, sr, ei, er))
    ii, ir = (struct.unpack("<I", named(w, 4))[0] for w in ("initiator's index", "responder's index"))
    cookie_secret, nonce = named("cookie secret"), named("cookie nonce", 24)
    psk = named("preshared key") if psk else bytes(32)

    state = State(pr)
    state.ephemeral(epi)
    state.mix_key(x25519(ei, pr))
    static = state.seal(pi)
    state.mix_key(x25519(si, pr))
    timestamp = tai64n(wall)
    bare = struct.pack("<II", 1, ii) + epi + static + state.seal(timestamp)
    initiation = with_macs(bare, pr)

    cookie = mac(cookie_secret, address + struct.pack(">H", port))
    sealed = xseal(blake2s(b"cookie--", pr), nonce, cookie, initiation[116:132])
    reply = struct.pack("<II", 3, ii) + nonce + sealed

    state.ephemeral(epr)
    state.mix_key(x25519(er, epi))
    state.mix_key(x25519(er, pi))
    state.psk(psk)
    response = with_macs(struct.pack("<III", 2, ir, ii) + epr + state.seal(b""), pi)
    to_responder, to_initiator = kdf(state.c, b"", 2)

    there, back = ping((10, 0, 0, 1), (10, 0, 0, 2), 8, 49), ping((10, 0, 0, 2), (10, 0, 0, 1), 0, 49)
    return {
        "name": name,
        "initiator": {"private": si, "public": pi, "ephemeral": ei, "index": ii, "address": address, "port": port},
        "responder": {"private": sr, "public": pr, "ephemeral": er, "index": ir, "cookieSecret": cookie_secret, "cookieNonce": nonce},
        "presharedKey": psk,
        "wall": str(wall),
        "timestamp": timestamp,
        "initiation": initiation,
        "cookie": cookie,
        "cookieReply": reply,
        "initiationWithMac2": with_macs(bare, pr, cookie),
        "response": response,
        "chainingKey": state.c,
        "hash": state.h,
        "toResponder": {"key": to_responder, "messages": [transport(to_responder, ir, 0, there), transport(to_responder, ir, 1, b""), transport(to_responder, ir, 2**32 + 5, there)]},
        "toInitiator": {"key": to_initiator, "messages": [transport(to_initiator, ii, 0, back), transport(to_initiator, ii, 2**64 - 2**13 - 2, b"")]},
    }


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=1, default=bytes.hex) + "\n")


if __name__ == "__main__":
    check()
    write("blake2s.json", blake2s_cases())
    write("kdf.json", kdf_cases())
    write("tai64n.json", tai64n_cases())
    v6 = bytes.fromhex("20010db8000000000000000000000007")
    write("handshake.json", {"handshakes": [
        handshake("IPv4, no preshared key", False, bytes([192, 0, 2, 7]), 51820, 1_700_000_000_987_654_321),
        handshake("IPv6, preshared key", True, v6, 443, 1_800_000_000_000_000_000),
    ]})
