"""Lists that are filtered by time: gaps in pieces, side by side, too large, or not to be had."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from etl.budget import Budget
from etl.coverage import Interval
from etl.errors import CredentialsError, GapTooLarge, SourceError
from etl.records import TICK, Gap, Page, SourceConfig, Stream
from etl.sources import SOURCES
from etl.sync.pump import run_inline, run_threads
from tests.sync.lab import Lab, make_stream
from tests.sync.passes import Bench, hour, open_bench

SINCE = hour(0)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An hourly record `r0` to `r31`, and a kind that reads them."""
    lab = Lab(records={"all": {f"r{n}": hour(n) for n in range(32)}})
    monkeypatch.setitem(SOURCES, "lab", lab)
    return lab


@pytest.fixture
def bench(lab: Lab) -> Iterator[Bench]:
    config = SourceConfig(
        "prod", "lab", "http://lab", "TOKEN", "t0ken", since=SINCE, page_size=4, concurrency=1
    )
    with open_bench(lab.TABLES, configs=[config], now=hour(32)) as bench:
        yield bench


def list_ids(bench: Bench) -> set[str]:
    return {id for (id,) in bench.read("SELECT id FROM lab.records")}


def list_asked(lab: Lab) -> list[tuple[float, float]]:
    """The gaps asked for since the last call, in hours."""
    asked = [
        ((since - SINCE) / timedelta(hours=1), (until - SINCE) / timedelta(hours=1))
        for _, since, until in lab.asked
    ]
    lab.asked.clear()
    return asked


def test_a_gap_that_is_too_large_is_halved_newest_first(bench: Bench, lab: Lab) -> None:
    lab.rows_max = 8

    bench.sync_well()

    assert list_asked(lab) == [(0, 32), (16, 32), (24, 32), (16, 24), (0, 16), (8, 16), (0, 8)]
    assert list_ids(bench) == {f"r{n}" for n in range(32)}
    assert bench.ledger(stream="all") == (Interval(hour(0), hour(32)),)


def test_what_is_to_be_read_again_is_not_known_before_it_was(bench: Bench, lab: Lab) -> None:
    """A stop between the halves of a gap must not leave the older half of the lookback behind."""
    bench.sync_well()
    lab.records["all"] |= {f"n{n}": hour(32 + n / 4) for n in range(16)}
    lab.records["all"]["late"] = hour(29)
    lab.rows_max = 16
    list_asked(lab)

    bench.now = hour(36)
    assert bench.sync_well(max_pages=5).is_stopped

    assert list_asked(lab)[:2] == [(28, 36), (32, 36)]
    assert bench.ledger(stream="all") == (
        Interval(hour(0), hour(28)),
        Interval(hour(32), hour(36)),
    )
    bench.now = hour(46)
    bench.sync_well()
    assert "late" in list_ids(bench)
    assert bench.ledger(stream="all") == (Interval(hour(0), hour(46)),)


@pytest.mark.parametrize("order", ["descending", "ascending", "unordered"])
@pytest.mark.parametrize("pages", [1, 3, 5])
def test_wherever_windows_are_stopped_the_lookback_is_read_in_the_end(
    bench: Bench, lab: Lab, order: Any, pages: int
) -> None:
    lab.streams = (make_stream(order=order, window=timedelta(hours=3)),)
    bench.sync_well()
    lab.records["all"] |= {f"n{n}": hour(32 + n / 4) for n in range(16)}
    lab.records["all"]["late"] = hour(29)

    bench.now = hour(36)
    bench.sync_well(max_pages=pages)
    bench.now = hour(46)
    bench.sync_well()

    assert "late" in list_ids(bench)
    assert bench.ledger(stream="all") == (Interval(hour(0), hour(46)),)


def test_windows_that_end_in_any_turn_keep_what_they_found(bench: Bench, lab: Lab) -> None:
    """The older window of a gap is claimed before the newer one: it stays claimed."""
    lab.streams = (make_stream(window=timedelta(hours=4)),)
    bench.sync_well()
    bench.now = hour(40)
    bench.run_jobs = lambda jobs, threads: (event for job in jobs[::-1] for event in run_one(job))

    bench.sync_well()

    assert bench.ledger(stream="all") == (Interval(hour(0), hour(40)),)


def run_one(job: Any) -> Iterator[Any]:
    return run_inline([job], 1)


def test_a_failing_window_leaves_its_gap_and_no_more(bench: Bench, lab: Lab) -> None:
    lab.streams = (make_stream(window=timedelta(hours=8)),)

    def fail(stream: Stream, gap: Gap) -> None:
        if gap.since == hour(8):
            raise SourceError("no such day")

    lab.fail = fail
    [result] = bench.sync()

    assert [str(error) for error in result.errors] == ["no such day"]
    assert bench.ledger(stream="all") == (
        Interval(hour(0), hour(8)),
        Interval(hour(16), hour(32)),
    )
    assert bench.states() == [("all", "failed", 4)]


def test_a_range_that_cannot_be_made_smaller_is_an_error(bench: Bench, lab: Lab) -> None:
    lab.records = {"all": {f"t{n}": hour(16) for n in range(9)}}
    lab.rows_max = 8

    [result] = bench.sync()

    assert [str(error) for error in result.errors] == ["9 records are too many"]
    assert result.errors[0].exit_code == 4
    assert len(lab.asked) < 60
    assert bench.ledger(stream="all")[-1].until == hour(32), "the newer half is kept"


def test_a_history_that_begins_in_the_future_is_done(bench: Bench, lab: Lab) -> None:
    bench.configs = [replace(bench.configs[0], since=hour(99))]

    bench.sync_well()

    assert (lab.asked, bench.states()) == ([], [("all", "done", 0)])


def test_one_record_that_the_server_cannot_show_hides_no_other(bench: Bench, lab: Lab) -> None:
    def fail_page(page: Sequence[Any]) -> None:
        if ("r20", hour(20)) in page:
            raise GapTooLarge("HTTP 500; gave up", is_certain=False)

    lab.fail_page = fail_page
    [result] = bench.sync()

    assert [str(error) for error in result.errors] == ["HTTP 500; gave up"]
    assert list_ids(bench) == {f"r{n}" for n in range(32)} - {"r20"}
    older, newer = bench.ledger(stream="all")
    assert (older.since, newer.until) == (hour(0), hour(32))
    assert older.until <= hour(20) < newer.since <= hour(20) + timedelta(seconds=2)


@pytest.mark.parametrize("times", [1, 99])
def test_the_page_of_another_window_is_not_taken_for_what_was_asked_for(
    bench: Bench, lab: Lab, times: int
) -> None:
    """A cache answers with the page before: it is asked again, and no window counts as read."""
    lab.streams = (make_stream(window=timedelta(hours=4)),)
    answered: list[Page] = []
    fetch_page = lab.fetch_page

    def fetch_stale(*words: Any) -> Page:
        answered.append(fetch_page(*words))
        return answered[1] if 2 <= len(answered) < 2 + times else answered[-1]

    vars(lab)["fetch_page"] = fetch_stale
    [result] = bench.sync()

    if times == 1:
        assert result.errors == []
        assert list_ids(bench) == {f"r{n}" for n in range(32)}
    else:
        assert "the answer holds other times only" in str(result.errors[0])
        assert bench.ledger(stream="all") == (Interval(hour(24), hour(32)),)


def test_a_server_that_is_down_is_not_asked_for_ever_shorter_ranges(bench: Bench, lab: Lab) -> None:
    def fail(stream: Stream, gap: Gap) -> None:
        raise GapTooLarge("HTTP 503; gave up", is_certain=False)

    lab.fail = fail
    [result] = bench.sync()

    assert [str(error) for error in result.errors] == ["HTTP 503; gave up"]
    assert len(lab.asked) == 2


def test_a_server_that_fails_for_long_ranges_only_is_asked_for_shorter_ones(
    bench: Bench, lab: Lab
) -> None:
    def fail(stream: Stream, gap: Gap) -> None:
        if gap.until - gap.since > timedelta(hours=10):
            raise GapTooLarge("no answer in time", is_certain=False)

    lab.fail = fail
    bench.sync_well()

    assert list_ids(bench) == {f"r{n}" for n in range(32)}


def test_the_halves_of_a_window_are_read_in_half_the_pages(bench: Bench, lab: Lab) -> None:
    """What was too much for the server may have been the page; other windows keep theirs."""
    lab.streams = (make_stream(window=timedelta(hours=16)),)
    lab.records["all"] = {f"r{n}": hour(n) for n in range(16, 32)}
    lab.fail_page = lambda page: refuse_more_than(1, page)

    bench.sync_well()

    # Too much with pages of 4 and of 2; the empty older window is asked for in one of 4.
    assert (lab.page_sizes[0], set(lab.page_sizes), lab.page_sizes[-1]) == (4, {4, 2, 1}, 4)
    assert list_ids(bench) == {f"r{n}" for n in range(16, 32)}
    assert bench.ledger(stream="all") == (Interval(hour(0), hour(32)),)


def refuse_more_than(rows: int, page: Sequence[Any]) -> None:
    if len(page) > rows:
        raise GapTooLarge("HTTP 413")


def test_a_list_that_cannot_be_cut_into_windows_is_read_on_in_smaller_pages(
    bench: Bench, lab: Lab
) -> None:
    lab.streams = (replace(make_stream(), is_windowed=False),)
    lab.fail_page = lambda page: refuse_more_than(2, page) if ("r20", hour(20)) in page else None

    bench.sync_well()

    assert set(lab.page_sizes) == {4, 2}
    assert list_ids(bench) == {f"r{n}" for n in range(32)}
    assert bench.ledger(stream="all") == (Interval(hour(0), hour(32)),)


def test_a_record_too_large_for_any_page_is_an_error_and_what_came_before_is_kept(
    bench: Bench, lab: Lab
) -> None:
    lab.streams = (replace(make_stream(), is_windowed=False),)
    lab.fail_page = lambda page: refuse_more_than(0 if ("r20", hour(20)) in page else 99, page)

    [result] = bench.sync()

    assert [str(error) for error in result.errors] == ["HTTP 413"]
    assert bench.ledger(stream="all") == (Interval(hour(21) + TICK, hour(32)),)


def test_windows_hold_no_more_than_an_interruption_may_cost(bench: Bench, lab: Lab) -> None:
    """Rows without their time make nothing known before the end of their window."""
    lab.streams = (make_stream(order="unordered"),)
    lab.has_total = True

    stopped = bench.sync_well(max_pages=2)

    assert stopped.is_stopped
    assert bench.ledger(stream="all") == (Interval(hour(24), hour(32)),)
    bench.sync_well()
    assert bench.ledger(stream="all") == (Interval(hour(0), hour(32)),)


def test_a_server_that_shows_less_on_a_page_than_was_asked_for_is_walked_to_the_end(
    bench: Bench, lab: Lab
) -> None:
    """With few pages a run, each run must end a window: it is measured by the pages that come."""
    lab.streams = (make_stream(order="unordered"),)
    lab.has_total = True
    fetch_page = lab.fetch_page

    def fetch_capped(client: Any, config: SourceConfig, *rest: Any) -> Page:
        return fetch_page(client, replace(config, page_size=2), *rest)

    vars(lab)["fetch_page"] = fetch_capped
    for _ in range(30):
        bench.sync_well(max_pages=3)

    assert bench.ledger(stream="all") == (Interval(hour(0), hour(32)),)


def test_one_broken_stream_does_not_stop_its_source(bench: Bench, lab: Lab) -> None:
    lab.streams = (make_stream("broken"), make_stream("all"))

    def fail(stream: Stream, gap: Gap) -> None:
        if stream.name == "broken":
            raise SourceError("gone")

    lab.fail = fail
    [result] = bench.sync()

    assert [str(error) for error in result.errors] == ["gone"]
    assert list_ids(bench) == {f"r{n}" for n in range(32)}
    assert sorted(bench.states()) == [("all", "done", 0), ("broken", "failed", 4)]


def test_a_refused_stream_is_asked_once_and_the_others_go_on(bench: Bench, lab: Lab) -> None:
    lab.streams = (make_stream("refused", window=timedelta(hours=4)), make_stream("all"))

    def fail(stream: Stream, gap: Gap) -> None:
        if stream.name == "refused":
            raise CredentialsError("HTTP 403: ListExecutionsResourcePermissionDenied")

    lab.fail = fail
    [result] = bench.sync()

    assert [str(error)[:8] for error in result.errors] == ["HTTP 403"]
    assert [name for name, _, _ in lab.asked].count("refused") == 1
    assert list_ids(bench) == {f"r{n}" for n in range(32)}
    assert sorted(bench.states()) == [("all", "done", 0), ("refused", "failed", 3)]


@pytest.mark.parametrize(
    "error", [CredentialsError("HTTP 401", "source"), SourceError("no such host", "source")]
)
def test_what_every_stream_would_meet_is_met_once(
    bench: Bench, lab: Lab, error: CredentialsError | SourceError
) -> None:
    lab.streams = tuple(make_stream(name, window=timedelta(hours=4)) for name in ("a", "b", "c"))

    def fail(stream: Stream, gap: Gap) -> None:
        raise error

    lab.fail = fail
    [result] = bench.sync()

    assert result.errors == [error]
    assert len(lab.asked) == 1
    code = error.exit_code
    assert sorted(bench.states()) == [(name, "failed", code) for name in ("a", "b", "c")]


def test_a_stop_is_not_held_up_by_a_request_that_does_not_end(
    bench: Bench, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stream is read, the other hangs in a request: what came is kept, and the run ends."""
    monkeypatch.setattr("etl.sync.run.STOP_GRACE_S", 0.0)
    monkeypatch.setattr("etl.sync.pump.JOIN_S", 0.0)
    lab.streams = (make_stream("hangs"), make_stream("all"))
    budget, release = Budget(), threading.Event()

    def fail(stream: Stream, gap: Gap) -> None:
        if stream.name == "hangs":
            budget.stop.set()
            release.wait()

    lab.fail = fail
    bench.run_jobs = run_threads
    bench.configs = [replace(config, concurrency=2) for config in bench.configs]
    [result] = bench.sync(budget=budget)
    release.set()

    assert result.is_stopped
    assert result.errors == []
    assert dict(run[:2] for run in bench.states())["hangs"] == "stopped"
