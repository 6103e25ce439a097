"""A request and its answer, as the dialects of the demo see them."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

# How a list is sorted where the API does not say so.
Order = Literal["newest", "oldest"]

encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded and has lost the dialect's prefix; `headers` have lower-case names."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is sent as it is; `headers` are more than the usual ones."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


def answer_json(value: Any, status: int = 200) -> Answer:
    """An answer from any value that JSON can hold."""
    return Answer(status, encode_json(value))


def join_records(head: bytes, records: list[bytes], tail: bytes) -> bytes:
    """A page from rendered records, with commas between them."""
    if not records:
        return head + tail
    # One allocation of the page's size: a second one takes longer than all the rest.
    if len(records) == 1:
        return head + records[0] + tail
    return b",".join([head + records[0], *records[1:-1], records[-1] + tail])


def read_whole_number(text: str | None, default: int, low: int, high: int) -> int | None:
    """A number from a query, the default without one, None if it is no number or out of range."""
    if text is None:
        return default
    # Not every digit of Unicode is one that int() reads, and an endless number is no number.
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        return None
    number = int(text)
    return number if low <= number <= high else None
