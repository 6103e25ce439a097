"""A secret as something that can be recognised and not read."""

import hashlib
import re
from functools import lru_cache

PREFIX = "hmac:"
FINGERPRINT_DIGITS = 16
BLOCK_BYTES = 64
"""The block of SHA-256: RFC 2104 pads the key to it."""

CACHED_CHARS_MAX = 256
"""Longer texts are seldom the same in many records, and would fill the memory."""

CACHED_SECRETS_MAX = 2_048
"""The same secret comes again soon or never: a larger cache is slower, and finds no more."""

_is_fingerprint = re.compile(rf"{PREFIX}[0-9a-f]{{{FINGERPRINT_DIGITS}}}").fullmatch


def is_fingerprint(text: str) -> bool:
    """Whether a text is a fingerprint already."""
    return len(text) == len(PREFIX) + FINGERPRINT_DIGITS and _is_fingerprint(text) is not None


def make_fingerprint(key: bytes, secret: str) -> str:
    """`hmac:` and 16 hex digits of the HMAC-SHA256 of a secret.

    A fingerprint stays as it is, so that a record that was kept redacted can be read again.
    """
    is_short = len(secret) <= CACHED_CHARS_MAX
    return _hash_cached(key, secret) if is_short else hash_secret(key, secret)


def hash_secret(key: bytes, secret: str) -> str:
    """The same, made anew."""
    if is_fingerprint(secret):
        return secret
    inner, outer = _start_hashes(key)
    first = inner.copy()
    first.update(secret.encode("utf-8", "surrogatepass"))
    second = outer.copy()
    second.update(first.digest())
    return PREFIX + second.hexdigest()[:FINGERPRINT_DIGITS]


_hash_cached = lru_cache(maxsize=CACHED_SECRETS_MAX)(hash_secret)


@lru_cache(maxsize=16)
def _start_hashes(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """The two hashes of an HMAC with the key already in: a third of the cost of a new one."""
    short = key if len(key) <= BLOCK_BYTES else hashlib.sha256(key).digest()
    padded = short.ljust(BLOCK_BYTES, b"\0")
    return (
        hashlib.sha256(bytes(byte ^ 0x36 for byte in padded)),
        hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)),
    )


def describe_text(key: bytes, text: str) -> str:
    """What is kept of a text that is not: its size in bytes and its keyed hash, as JSON."""
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    return f'{{"bytes":{size_bytes},"hash":"{make_fingerprint(key, text)}"}}'
