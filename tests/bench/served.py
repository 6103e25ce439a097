"""The demo APIs in a process of their own, so that they do not share the sync's interpreter."""

import contextlib
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

from etl.demo.faults import Faults
from etl.demo.server import DemoSettings, start_server


@dataclass(frozen=True)
class Served:
    """A server, and the pipe on which it takes orders."""

    base_url: str
    pipe: Connection

    def ask_requests(self) -> int:
        """How many requests it has answered so far."""
        self.pipe.send(("requests", 0.0))
        count: int = self.pipe.recv()
        return count

    def set_latency(self, latency_ms: float) -> None:
        """How long it waits before each answer."""
        self.pipe.send(("latency_ms", latency_ms))
        self.pipe.recv()

    def set_clock(self, behind_s: float) -> None:
        """How far its clock is behind, and with it the newest execution."""
        self.pipe.send(("behind_s", behind_s))
        self.pipe.recv()


@contextlib.contextmanager
def serve(settings: DemoSettings, behind_s: float = 0.0) -> Iterator[Served]:
    """A server while the context lasts."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_run, args=(settings, theirs, behind_s), daemon=True)
    process.start()
    try:
        yield Served(ours.recv(), ours)
    finally:
        ours.send(None)
        process.join(timeout=10)


def _run(settings: DemoSettings, pipe: Connection, behind_s: float) -> None:
    clock = {"behind_s": behind_s}
    with start_server(
        settings, now=lambda: datetime.now(UTC) - timedelta(seconds=clock["behind_s"])
    ) as server:
        pipe.send(server.base_url)
        while (order := pipe.recv()) is not None:
            what, value = order
            if what == "latency_ms":
                server.set_faults(Faults(latency_ms=value))
            elif what == "behind_s":
                clock["behind_s"] = value
            pipe.send(sum(server.requests.values()))
