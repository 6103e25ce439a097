"""What can go wrong on the way to the API and into the store."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

import duckdb
import httpx

from tests.simulation.world import World


class Crash(BaseException):
    """The process is killed."""


@dataclass
class Fate:
    """When this run is killed: before its n-th HTTP call, or at its n-th commit boundary."""

    http_call: int | None = None
    commit_boundary: int | None = None
    http_calls: int = 0
    commit_boundaries: int = 0

    def meet_http_call(self) -> None:
        self.http_calls += 1
        if self.http_calls == self.http_call:
            raise Crash("HTTP call")

    def meet_commit_boundary(self) -> None:
        self.commit_boundaries += 1
        if self.commit_boundaries == self.commit_boundary:
            raise Crash("commit boundary")


def make_transport(
    world: World, answer: Callable[[httpx.Request], httpx.Response], fate: Fate, rate: float
) -> httpx.MockTransport:
    """The API over a bad line: some answers are errors, cut short, or never come."""

    def handle(request: httpx.Request) -> httpx.Response:
        fate.meet_http_call()
        world.tick()
        if world.chance.random() < rate:
            return fail(world.chance)
        response = answer(request)
        if world.chance.random() < rate:
            response = httpx.Response(response.status_code, content=response.content[:-7])
        response.headers["date"] = format_datetime(world.now.replace(microsecond=0), usegmt=True)
        return response

    return httpx.MockTransport(handle)


def fail(chance: random.Random) -> httpx.Response:
    kind = chance.choice(("500", "503", "429", "drop", "html"))
    if kind == "drop":
        raise httpx.ReadError("connection reset")
    if kind == "html":
        return httpx.Response(200, text="<html>maintenance</html>")
    headers = {"retry-after": "2"} if kind == "429" else {}
    return httpx.Response(int(kind), headers=headers, json={"message": "later"})


class FaultyConnection:
    """A DuckDB connection that dies around its commits, as a killed process would."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, fate: Fate) -> None:
        self._connection = connection
        self._fate = fate
        self._is_dead = False

    def execute(self, sql: str, *args: Any) -> Any:
        if self._is_dead:
            raise Crash("the process is dead already")
        if sql != "COMMIT":
            return self._connection.execute(sql, *args)
        self._is_dead = True
        self._fate.meet_commit_boundary()
        result = self._connection.execute(sql)
        self._fate.meet_commit_boundary()
        self._is_dead = False
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def make_opener(connection: duckdb.DuckDBPyConnection, fate: Fate) -> Callable[[], Any]:
    @contextmanager
    def open_store() -> Iterator[Any]:
        try:
            yield FaultyConnection(connection, fate)
        except Crash:
            _roll_back(connection)
            raise

    return open_store


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.TransactionException:
        return
