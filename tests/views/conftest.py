"""Histories that every view is asked about: none, one row, and many of several kinds."""

from dataclasses import dataclass

import duckdb
import pytest

from tests.views.history import History, make_history
from tests.views.mapping import Execution, map_history
from tests.views.store import open_store


@dataclass
class Case:
    """A store, and what is in it in plain Python."""

    store: duckdb.DuckDBPyConnection
    history: History
    executions: list[Execution]


CASES = {"none": None, "one": None, "seed 1": 1, "seed 2": 2}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    history = make_history(CASES[request.param] or 0)
    if request.param == "none":
        history = History()
    elif request.param == "one":
        history = History(riza=history.riza[:1], coverage=history.coverage[:1])
    return build_case(history)


def build_case(history: History, timezone: str | None = None) -> Case:
    store = open_store(timezone)
    history.store(store)
    return Case(store, history, map_history(history))
