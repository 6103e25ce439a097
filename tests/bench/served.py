"""The demo APIs in a process of their own, so that they do not share the sync's interpreter."""

import contextlib
import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from etl.demo.faults import Faults
from etl.demo.server import DemoSettings, start_server


@contextlib.contextmanager
def serve(settings: DemoSettings) -> Iterator[tuple[str, Connection]]:
    """A server's base URL, and a pipe that answers `requests` and `latency_ms N`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_run, args=(settings, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        ours.send(None)
        process.join(timeout=10)


def ask_requests(server: Connection) -> int:
    """How many requests the server has answered so far."""
    server.send("requests")
    count: int = server.recv()
    return count


def set_latency(server: Connection, latency_ms: float) -> None:
    server.send(latency_ms)
    server.recv()


def _run(settings: DemoSettings, pipe: Connection) -> None:
    with start_server(settings, now=lambda: datetime.now(UTC)) as server:
        pipe.send(server.base_url)
        while (order := pipe.recv()) is not None:
            if order == "requests":
                pipe.send(sum(server.requests.values()))
            else:
                server.set_faults(Faults(latency_ms=order))
                pipe.send(None)
