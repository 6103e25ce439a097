"""As little of HTTP/1.1 as the demo needs: the standard handler costs more than a page does."""

import zlib
from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import parse_qsl, unquote

from etl.demo.messages import Answer, Request, read_whole_number

LINE_BYTES_MAX = 65_536
HEADERS_MAX = 100
BODY_BYTES_MAX = 1_000_000
GZIP_BYTES_MIN = 500
_GZIP_WINDOW = 31


class BadRequestError(Exception):
    """What came is not a request that can be answered; the connection has to close."""


def read_request(stream: BinaryIO) -> Request | None:
    """The next request of a connection, or None when the client has closed it.

    The path still has the prefix of its dialect. Raises `BadRequestError`.
    """
    line = stream.readline(LINE_BYTES_MAX)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequestError("not an HTTP/1 request line")
    headers = _read_headers(stream)
    if parts[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    length = read_whole_number(headers.get("content-length"), 0, 0, BODY_BYTES_MAX)
    if length is None or "transfer-encoding" in headers:
        raise BadRequestError("a body needs a Content-Length of at most a million")
    path, _, query = parts[1].partition("?")
    fields = dict(parse_qsl(query, keep_blank_values=True))
    return Request(parts[0], unquote(path), fields, headers, stream.read(length))


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(HEADERS_MAX):
        line = stream.readline(LINE_BYTES_MAX)
        if line in {b"\r\n", b"\n", b""}:
            return headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raise BadRequestError("too many headers")


def write_head(answer: Answer, now: datetime, more: Iterable[tuple[str, str]] = ()) -> bytes:
    """Status line and headers with the empty line; Content-Length is that of the whole body."""
    phrase = HTTPStatus(answer.status).phrase
    lines = [
        f"HTTP/1.1 {answer.status} {phrase}",
        f"Date: {_date_text(now.replace(microsecond=0))}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        *(f"{name}: {value}" for name, value in (*answer.headers, *more)),
        "\r\n",
    ]
    return "\r\n".join(lines).encode("latin-1")


@lru_cache(maxsize=64)
def _date_text(now: datetime) -> str:
    return format_datetime(now, usegmt=True)


def compress(answer: Answer, accepted: str) -> Answer:
    """The answer with a gzip body, where the client takes one and it is worth it."""
    if "gzip" not in accepted or len(answer.body) < GZIP_BYTES_MIN:
        return answer
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)
    body = packer.compress(answer.body) + packer.flush()
    headers = (*answer.headers, ("Content-Encoding", "gzip"))
    return Answer(answer.status, body, headers, answer.content_type)
