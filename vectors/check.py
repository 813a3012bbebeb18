#!/usr/bin/env python3
"""Checks primitives.py against rfc.json and RFC 7693 appendix E.

generate.py runs it first, and writes nothing if it fails.
"""
import hashlib
import json
import pathlib

from primitives import blake2s, hchacha20, public_key, seal, x25519, xseal

HERE = pathlib.Path(__file__).parent


def unhexed(value):
    return {k: bytes.fromhex(v) if isinstance(v, str) and k != "source" else v for k, v in value.items()}


def blake2s_self_test():
    """RFC 7693 appendix E: many lengths, with and without key, in one hash."""

    def sequence(n, seed):
        a, b, out = 0xDEAD4BAD * seed & 0xFFFFFFFF, 1, bytearray()
        for _ in range(n):
            a, b = b, a + b & 0xFFFFFFFF
            out.append(b >> 24)
        return bytes(out)

    all_of_it = hashlib.blake2s()
    for size in (16, 20, 28, 32):
        for n in (0, 3, 64, 65, 255, 1024):
            for key in (b"", sequence(size, size)):
                all_of_it.update(hashlib.blake2s(sequence(n, n), digest_size=size, key=key).digest())
    return all_of_it.hexdigest() == "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe"


def check():
    rfc = {name: [unhexed(v) for v in values] for name, values in json.loads((HERE / "rfc.json").read_text()).items()}
    assert blake2s_self_test()
    for v in rfc["blake2s"]:
        assert blake2s(v["data"]) == v["out"], v
    for v in rfc["x25519"]:
        assert x25519(v["private"], v["public"]) == v["shared"], v
    for v in rfc["x25519PublicKeys"]:
        assert public_key(v["private"]) == v["public"], v
    for v in rfc["x25519Iterated"]:
        k = u = (9).to_bytes(32, "little")
        for _ in range(v["times"]):
            k, u = x25519(k, u), k
        assert k == v["out"], v
    for v in rfc["lowOrder"]:
        assert x25519(bytes(range(32)), v["public"]) == bytes(32), v
    for name, f in (("chacha20Poly1305", seal), ("xchacha20Poly1305", xseal)):
        for v in rfc[name]:
            assert f(v["key"], v["nonce"], v["plaintext"], v["aad"]) == v["ciphertext"], v
    for v in rfc["hchacha20"]:
        assert hchacha20(v["key"], v["nonce"]) == v["out"], v


if __name__ == "__main__":
    check()
