"""Credentials out of rows, before anything is written.

What each column may hold is declared where the table is (`Column.role`); the rules live here. A
secret becomes a keyed fingerprint, so that the same secret can be recognised but not read.
"""

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from etl.records import Flat, Table

PREFIX = "hmac:"
FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Redactor:
    """How one source's rows are made safe: the store's random key and the source's policy."""

    key: bytes
    payloads: Literal["full", "redacted", "none"] = "redacted"


@dataclass(frozen=True, slots=True)
class Redacted:
    """A record that may be written, and how many values were replaced in it."""

    flat: Flat
    extra: str | None
    count: int


def make_fingerprint(key: bytes, secret: str) -> str:
    """`hmac:` and 16 hex digits of the HMAC-SHA256 of a secret."""
    digest = hmac.digest(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return PREFIX + digest.hex()[:FINGERPRINT_DIGITS]


def redact_record(redactor: Redactor, table: Table, flat: Flat, extra: str | None) -> Redacted:
    """The rows of one record, and its unknown fields, without its credentials."""
    if redactor.payloads == "full":
        return Redacted(flat, extra, 0)
    count = 0
    row, replaced = _redact_row(redactor.key, table, flat.row)
    count += replaced
    children = []
    for child, rows in zip(table.children, flat.children, strict=False):
        safe_rows = []
        for child_row in rows:
            safe_row, replaced = _redact_row(redactor.key, child, child_row)
            safe_rows.append(safe_row)
            count += replaced
        children.append(safe_rows)
    return Redacted(Flat(row, tuple(children)), extra, count)


def redact_broken(redactor: Redactor, raw: bytes) -> str:
    """What may be kept of a record that could not be understood, as JSON text."""
    if redactor.payloads == "full":
        return raw.decode("utf-8", "replace")
    return f'{{"bytes": {len(raw)}}}'


def _redact_row(key: bytes, table: Table, row: tuple[Any, ...]) -> tuple[tuple[Any, ...], int]:
    places = [place for place in _find_secret_places(table) if row[place]]
    if not places:
        return row, 0
    values = list(row)
    for place in places:
        values[place] = make_fingerprint(key, values[place])
    return tuple(values), len(places)


@lru_cache
def _find_secret_places(table: Table) -> tuple[int, ...]:
    return tuple(i for i, column in enumerate(table.columns) if column.role == "secret")
