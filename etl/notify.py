"""Tells a dead man's switch that the job runs: when it begins, when it ends, and how.

The address is a credential: whoever has it can say that all is well. It is in no message.
"""

import threading
from dataclasses import dataclass, field

import httpx

PING_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Ping:
    """A ping on its way; `failure` is why it did not arrive, as far as is known."""

    thread: threading.Thread | None = None
    failure: str | None = None
    is_done: threading.Event = field(default_factory=threading.Event)


def make_address(ping_url: str, suffix: str) -> str:
    """The address with `start` or `fail` behind its path; that of success has no suffix."""
    url = httpx.URL(ping_url)
    path = url.path.rstrip("/") + (f"/{suffix}" if suffix else "")
    return str(url.copy_with(path=path))


def send_ping(ping_url: str, suffix: str, transport: httpx.BaseTransport | None = None) -> Ping:
    """Send a ping on a thread of its own: nothing it does holds up the sync, not even a name."""
    ping = Ping()
    ping.thread = threading.Thread(
        target=_send, args=(ping, make_address(ping_url, suffix), transport), daemon=True
    )
    ping.thread.start()
    return ping


def _send(ping: Ping, address: str, transport: httpx.BaseTransport | None) -> None:
    try:
        with httpx.Client(transport=transport, timeout=PING_TIMEOUT_S) as client:
            response = client.get(address)
        if not response.is_success:
            ping.failure = f"HTTP {response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        ping.failure = type(error).__name__
    ping.is_done.set()


def await_ping(ping: Ping, wait_s: float = PING_TIMEOUT_S) -> str | None:
    """Wait for a ping, not for long; why it did not arrive, or None."""
    if not ping.is_done.wait(wait_s):
        return f"no answer within {wait_s:g} s"
    return ping.failure
