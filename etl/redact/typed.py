"""Known places: the columns that hold a secret by their nature."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from etl.redact.echoes import ECHO_LEAST_CHARS, is_harmless
from etl.redact.fingerprint import CACHED_CHARS_MAX, make_fingerprint
from etl.redact.payload import looks_like_json, redact_names
from etl.redact.shapes import list_connection_passwords

Row = tuple[Any, ...]
SecretPlace = tuple[int, int | None]
"""Where a secret column stands in a row, and where the column that names the secret."""


def fingerprint_rows(
    key: bytes, places: Sequence[SecretPlace], rows: list[Row]
) -> tuple[list[Row], list[str], int]:
    """The rows with each value of the secret columns replaced, what to look for elsewhere, how many
    values were replaced."""
    safe: list[Row] = []
    secrets: list[str] = []
    replaced = 0
    for row in rows:
        values: list[Any] | None = None
        for place, label in places:
            secret = row[place]
            if secret:
                values = values or list(row)
                examine = _examine if len(secret) <= CACHED_CHARS_MAX else _examine.__wrapped__
                values[place], inner = examine(key, secret, None if label is None else row[label])
                secrets += inner
                replaced += 1
        safe.append(row if values is None else tuple(values))
    return safe, secrets, replaced


@lru_cache(maxsize=8_192)
def _examine(key: bytes, secret: str, label: str | None) -> tuple[str, list[str]]:
    """The fingerprint of a secret, and what to look for elsewhere."""
    inner = [] if is_harmless(label, secret) else list_inner_secrets(key, secret)
    return make_fingerprint(key, secret), inner


def list_inner_secrets(key: bytes, secret: str) -> list[str]:
    """A secret and those inside it: the password of an address, the private parts of a JSON."""
    found = [secret]
    if "@" in secret:
        found += list_connection_passwords(secret)
    if "{" in secret and looks_like_json(secret):
        found += redact_names(key, secret).secrets
    return [each for each in found if len(each) >= ECHO_LEAST_CHARS]
