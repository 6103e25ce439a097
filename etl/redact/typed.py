"""Known places: the columns that hold a secret by their nature."""

from functools import lru_cache
from typing import Any

from etl.redact.echoes import ECHO_LEAST_CHARS, Sought, is_word, make_sought
from etl.redact.fingerprint import CACHED_CHARS_MAX, CACHED_SECRETS_MAX, hash_secret
from etl.redact.payload import looks_like_json, redact_names
from etl.redact.shapes import list_connection_passwords

Row = tuple[Any, ...]
SecretPlace = tuple[int, int | None]
"""Where a secret column stands in a row, and where the column that names the secret."""


Examined = tuple[str, tuple[Sought, ...], bool]
"""A secret's fingerprint, what to look for elsewhere, and whether it is a word.

There is nothing to look for where the name of a word says nothing of a secret, either. A plain
tuple, as most secrets are of one record only and are examined anew.
"""


def examine_secret(key: bytes, secret: str) -> Examined:
    """What is to be known of a value of a secret column."""
    examine = _examine if len(secret) <= CACHED_CHARS_MAX else _examine.__wrapped__
    return examine(key, secret)


@lru_cache(maxsize=CACHED_SECRETS_MAX)
def _examine(key: bytes, secret: str) -> Examined:
    inner = tuple([make_sought(each) for each in list_inner_secrets(key, secret)])
    return hash_secret(key, secret), inner, is_word(secret)


def list_inner_secrets(key: bytes, secret: str) -> list[str]:
    """A secret and those inside it: the password of an address, the private parts of a JSON."""
    found = [secret]
    if "@" in secret:
        found += list_connection_passwords(secret)
    if "{" in secret and looks_like_json(secret):
        found += redact_names(key, secret).secrets
    return [each for each in found if len(each) >= ECHO_LEAST_CHARS]
