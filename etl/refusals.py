"""What a server says when it does not do what it was asked: why, for how long, and for ever?

Nothing of the request is repeated, nor anything that may be a secret.
"""

import contextlib
import email.utils
import json
import re
from datetime import UTC, datetime

import httpx

from etl.redact import mask_line

MESSAGE_MAX_CHARS = 200
TOKEN_MIN_CHARS = 8
"""Shorter ones would be found in plain words."""
RETRIED_STATUSES = frozenset({408, 409, 425, 429})
NEVER_RETRIED_STATUSES = frozenset({400, 401, 403, 404})


def is_retried(response: httpx.Response) -> bool:
    """Whether another attempt may help; the server's own hints may decide where it is open."""
    if response.status_code in NEVER_RETRIED_STATUSES:
        return False
    if response.headers.get("qos-retry-hint") == "do-not-retry":
        return False
    hint: str | None = response.headers.get("x-should-retry")
    if hint in ("true", "false"):
        return hint == "true"
    return response.status_code in RETRIED_STATUSES or response.status_code >= 500


def read_retry_after(headers: httpx.Headers) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, or `Retry-After` as seconds or a date.

    None where it asks for nothing that makes sense; zero and less mean no hint.
    """
    with contextlib.suppress(KeyError, ValueError):
        milliseconds = float(headers["retry-after-ms"])
        return milliseconds / 1000 if milliseconds > 0 else None
    value = headers.get("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return float(value) if float(value) > 0 else None
    due = read_date(value)
    served_at = read_date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (due - served_at).total_seconds()) or None if due else None


def read_date(value: str | None) -> datetime | None:
    """A date of HTTP as a time; None for what is none."""
    if value is None:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        date = email.utils.parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    return None


def describe_error_body(content: bytes, token: str = "") -> str:
    """What an error body says, in one short line; empty when it says nothing readable.

    Only the fields that describe an error are shown, never the whole body: it may echo a request.
    Nor is the token in any encoding, or what looks like a secret: some APIs quote what they refuse.
    """
    try:
        body = json.loads(content)
    except ValueError:
        return "HTML" if content.lstrip()[:1] == b"<" else ""
    if not isinstance(body, dict):
        return ""
    if isinstance(body.get("error"), dict):
        body |= body["error"]
    names = ("errorName", "errorInstanceId", "message", "detail", "title", "error", "requestId")
    parts = [str(body[name]) for name in names if isinstance(body.get(name), (str, int))]
    line = re.sub(r"\s+", " ", ", ".join(parts))
    secrets = (token,) if len(token) >= TOKEN_MIN_CHARS else ()
    return mask_line(line, secrets)[:MESSAGE_MAX_CHARS]


_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")


def describe_failure(error: httpx.RequestError) -> str:
    """What went wrong on the way, never with words of the request: they may hold the token."""
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in time ({type(error).__name__})"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection was cut before the answer was complete"
    if isinstance(error, httpx.DecodingError):
        return "the answer's compression is damaged"
    if isinstance(error, httpx.NetworkError):
        words = _ERROR_NUMBER.sub("", mask_line(str(error)))
        return f"cannot connect ({words})" if isinstance(error, httpx.ConnectError) else words
    return type(error).__name__
