"""The primitives of WireGuard in plain, slow Python, written from the RFCs only for generate.py.

X25519: RFC 7748 section 5. ChaCha20-Poly1305: RFC 8439 section 2.
XChaCha20: draft-irtf-cfrg-xchacha-03 section 2.
BLAKE2s and HMAC come from Python's own hashlib and hmac.
"""
import hashlib
import hmac as _hmac
import struct

P = 2**255 - 19


def blake2s(*parts):
    state = hashlib.blake2s()
    for part in parts:
        state.update(part)
    return state.digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hmac(key, data):
    return _hmac.new(key, data, hashlib.blake2s).digest()


def x25519(scalar, u):
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public_key(private):
    return x25519(private, (9).to_bytes(32, "little"))


def _rounds(words):
    s = list(words)

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = s[x] + s[y] & 0xFFFFFFFF
            v = s[z] ^ s[x]
            s[z] = (v << n | v >> 32 - n) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


def _block(key, counter, nonce):
    words = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    return struct.pack("<16I", *(a + b & 0xFFFFFFFF for a, b in zip(words, _rounds(words))))


def _stream(key, nonce, text):
    out = bytearray()
    for i in range(0, len(text), 64):
        out += bytes(a ^ b for a, b in zip(text[i : i + 64], _block(key, 1 + i // 64, nonce)))
    return bytes(out)


def _tag(key, nonce, ciphertext, aad):
    one_time = _block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    data = aad + bytes(-len(aad) % 16) + ciphertext + bytes(-len(ciphertext) % 16)
    data += struct.pack("<QQ", len(aad), len(ciphertext))
    h = 0
    for i in range(0, len(data), 16):
        h = (h + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (h + int.from_bytes(one_time[16:32], "little") & 2**128 - 1).to_bytes(16, "little")


def seal(key, nonce, plaintext, aad):
    ciphertext = _stream(key, nonce, plaintext)
    return ciphertext + _tag(key, nonce, ciphertext, aad)


def hchacha20(key, nonce):
    words = _rounds(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    return struct.pack("<8I", *words[:4], *words[12:])


def xseal(key, nonce, plaintext, aad):
    return seal(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], plaintext, aad)
