"""Hundreds of Foundry resources side by side: one pace, one limit, and what one of them refuses."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from etl.records import SourceConfig
from etl.sources import foundry
from etl.sync.pump import run_inline, run_threads
from etl.sync.run import Extent, SourceResult, Surroundings, sync_sources
from tests.budgets import RecordingBudget
from tests.sources.foundry_server import make_record
from tests.sources.riza_account import NOON
from tests.sync.passes import Bench, keep_open, open_bench

RIDS = tuple(f"ri.function-registry.main.function.f{n:03d}" for n in range(300))
REFUSED = {RIDS[7]: "error_403_resource.json", RIDS[150]: "error_404_resource.json"}
STATUSES = {RIDS[7]: 403, RIDS[150]: 404}
PAGES = Path(__file__).parent.parent / "pages" / "foundry"
CONFIG = SourceConfig(
    "prod",
    "foundry",
    "http://f",
    "TOKEN",
    "t",
    foundry.Options(resources=RIDS, window_days=30.0),
    since=NOON - timedelta(days=60),
    concurrency=8,
)


@dataclass
class Crowd:
    """One execution per resource, a day old; counts the requests of each, and those at one time.

    The first requests for the first two resources are answered only while both are waiting.
    """

    asked: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    at_once_max: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=60))

    def answer(self, request: httpx.Request) -> httpx.Response:
        rid = request.url.path.split("/")[-2]
        with self.lock:
            self.asked[rid] += 1
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            if rid in RIDS[:2] and self.asked[rid] == 1:
                self.meeting.wait()
            return self._list(rid, json.loads(request.content)["endTime"])
        finally:
            with self.lock:
                self.at_once -= 1

    def _list(self, rid: str, until: str) -> httpx.Response:
        if rid in REFUSED:
            return httpx.Response(STATUSES[rid], content=(PAGES / REFUSED[rid]).read_bytes())
        is_newest = until.startswith(f"{NOON:%Y-%m-%d}")
        record = make_record(1, NOON - timedelta(days=1), resourceRid=rid)
        return httpx.Response(200, json={"data": [record]} if is_newest else {})


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench(foundry.TABLES) as bench:
        yield bench


def sync(bench: Bench, crowd: Crowd, config: SourceConfig, budget: RecordingBudget) -> SourceResult:
    transport = httpx.MockTransport(crowd.answer)
    around = Surroundings(
        keep_open(bench.store), b"key", budget, lambda: NOON, transport, run_threads
    )
    [result] = sync_sources([config], around, Extent())
    return result


def test_refused_resources_are_told_once_and_stop_none_of_the_others(bench: Bench) -> None:
    crowd = Crowd()

    result = sync(bench, crowd, CONFIG, RecordingBudget())

    stored = {rid for (rid,) in bench.read("SELECT resource_rid FROM foundry.executions")}
    assert stored == set(RIDS) - set(REFUSED)
    assert sorted(error.exit_code for error in result.errors) == [3, 4]
    others = {rid: n for rid, n in crowd.asked.items() if rid not in REFUSED}
    assert others == dict.fromkeys(stored, 2)
    assert 1 < crowd.at_once_max <= CONFIG.concurrency
    failed = {stream: code for stream, state, code in bench.states() if state == "failed"}
    assert failed == {RIDS[7]: 3, RIDS[150]: 4}


def test_a_refused_resource_is_asked_for_no_more(bench: Bench) -> None:
    """One job after the other: a window that is under way already cannot be called back."""
    crowd = Crowd(meeting=threading.Barrier(1))
    bench.transport = httpx.MockTransport(crowd.answer)
    bench.run_jobs, bench.configs = run_inline, [CONFIG]

    bench.sync()

    assert {rid: crowd.asked[rid] for rid in REFUSED} == dict.fromkeys(REFUSED, 1)


def test_a_refused_token_is_one_error_however_many_resources_there_are(bench: Bench) -> None:
    crowd = Crowd()
    refuse = httpx.MockTransport(lambda request: (crowd.answer(request), httpx.Response(401))[1])

    bench.transport, bench.run_jobs, bench.configs = refuse, run_threads, [CONFIG]
    [result] = bench.sync()

    assert [error.exit_code for error in result.errors] == [3]
    assert crowd.asked.total() <= CONFIG.concurrency
    assert {state for _, state, _ in bench.states()} == {"failed"}


def test_the_pace_holds_over_all_resources_and_threads(bench: Bench) -> None:
    """The n-th request is told to wait for the n-th slot, whoever sends it."""
    budget, crowd, seconds_apart = RecordingBudget(), Crowd(), 1_000.0
    config = replace(CONFIG, requests_per_second=1 / seconds_apart)

    sync(bench, crowd, config, budget)

    slots = sorted(round(wait / seconds_apart) for wait in budget.waits)
    assert slots == list(range(1, crowd.asked.total()))
    # Each refused resource may be asked once or twice: its other window may be under way already.
    assert crowd.asked.total() >= 2 * len(RIDS) - len(REFUSED)
