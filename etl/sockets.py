"""Connections on which an answer has a time by which it is whole, headers and all.

The timeouts of httpx begin anew with every byte, and nothing of a head, of a packed body or of the
length of a chunk is seen before it is complete: a server that trickles would be read for ever.
"""

import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class BoundedStream(httpcore.NetworkStream):
    """A connection that may be read for `answer_s` from when something was last written to it."""

    def __init__(self, stream: httpcore.NetworkStream, answer_s: float) -> None:
        self._stream = stream
        self._answer_s = answer_s
        self._deadline_s = time.monotonic() + answer_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout(f"the answer was not complete after {self._answer_s:g} s")
        return self._stream.read(max_bytes, left_s if timeout is None else min(timeout, left_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._deadline_s = time.monotonic() + self._answer_s
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return BoundedStream(secured, self._answer_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class BoundedBackend(httpcore.SyncBackend):
    """Connects as httpcore does, and bounds what is read."""

    def __init__(self, answer_s: float) -> None:
        self._answer_s = answer_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return BoundedStream(stream, self._answer_s)


def bound_answers(http: httpx.Client, answer_s: float) -> None:
    """Give every answer over the network `answer_s`, through a proxy of the environment, too.

    httpx takes no backend of its own; a transport of our own would have to do without proxies.
    """
    for transport in (http._transport, *http._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = BoundedBackend(answer_s)
