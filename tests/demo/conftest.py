"""A server per test, whose clock stands still unless the test moves it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest

from etl.demo.server import DemoServer, DemoSettings, start_server

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class World:
    """Starts servers that share a clock; `naps_s` are the sleeps they asked for."""

    stack: ExitStack
    now: datetime = NOW
    naps_s: list[float] = field(default_factory=list)

    def start(self, settings: DemoSettings) -> DemoServer:
        server = start_server(settings, now=lambda: self.now, sleep=self.naps_s.append)
        return self.stack.enter_context(server)

    def client(self, server: DemoServer) -> httpx.Client:
        headers = {"Authorization": f"Bearer {server.settings.token}"}
        return self.stack.enter_context(httpx.Client(base_url=server.base_url, headers=headers))


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)


@pytest.fixture
def serve(world: World) -> Callable[[DemoSettings], httpx.Client]:
    """A client of a new server with these settings."""
    return lambda settings: world.client(world.start(settings))
