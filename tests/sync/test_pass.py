"""Passes over a Riza account: which requests they cost, and what is known behind them."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import duckdb
import httpx
import pytest

from etl.coverage import Interval
from etl.errors import SourceError
from etl.records import EPOCH, TICK
from etl.store.read import LOOKBACK_MAX
from etl.sync.load import BatchLimits
from etl.sync.pump import Event, Job, run_inline
from etl.sync.run import plan_source
from etl.sync.walk import Step
from tests.sources.riza_account import Account, answer_json, make_execution, make_history
from tests.sync.passes import AT_THE_END, Bench, hour, make_config, open_bench


@pytest.fixture
def account() -> Account:
    """Nine executions, an hour apart, newest first: `e9` began at hour 9."""
    return Account(make_history(9, step=60))


@pytest.fixture
def bench(account: Account) -> Iterator[Bench]:
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        yield bench


NINE = [f"e{n}" for n in range(1, 10)]


def test_a_first_pass_reads_everything(bench: Bench, account: Account) -> None:
    result = bench.sync_well()

    assert account.asked == ["head", "after e7", "after e4", "after e1", "after e2"]
    assert bench.list_ids() == NINE
    assert bench.ledger() == (Interval(EPOCH, hour(10)),)
    [run] = result.runs
    assert (run.rows_new, run.pages, run.requests, run.state) == (9, 4, 5, "done")


def test_each_page_weighs_what_was_received_for_it(bench: Bench) -> None:
    """By that a queue and a batch are bounded, whatever the size of a page."""
    sizes: list[int] = []

    def watch(jobs: Sequence[Job], threads: int) -> Generator[Event]:
        for event in run_inline(jobs, threads):
            if isinstance(event, Step):
                sizes.append(event.size_bytes)
            yield event

    bench.run_jobs = watch
    result = bench.sync_well()

    assert len(sizes) == 4
    assert all(sizes)
    assert sum(sizes) == result.runs[0].received_bytes


def test_a_batch_of_few_large_pages_is_committed_as_one_of_many_small_ones(bench: Bench) -> None:
    def count_openings(limits: BatchLimits) -> int:
        opened = []

        @contextmanager
        def open_store() -> Iterator[duckdb.DuckDBPyConnection]:
            opened.append(limits)
            yield bench.store

        bench.open_store, bench.limits = open_store, limits
        bench.sync_well(is_full=True)
        return len(opened)

    large = count_openings(replace(AT_THE_END, size_bytes=1))

    assert large == count_openings(AT_THE_END) + 4


def test_a_second_pass_changes_nothing(bench: Bench, account: Account) -> None:
    bench.sync_well()
    before = bench.dump()
    account.take_asked()

    bench.now = hour(11)
    result = bench.sync_well()

    assert account.asked == ["head"]
    assert bench.dump() == before
    assert bench.ledger() == (Interval(EPOCH, hour(11)),)
    [run] = result.runs
    assert (run.rows_new, run.rows_changed, run.rows_unchanged) == (0, 0, 3)


def test_new_executions_are_read_down_to_what_is_known(bench: Bench, account: Account) -> None:
    bench.sync_well()
    account.records = [
        *(make_execution(f"n{n}", n) for n in range(615, 610, -1)),
        *account.records,
    ]
    account.take_asked()

    bench.now = hour(11)
    bench.sync_well()

    assert account.asked == ["head", "after n613"]
    assert len(bench.list_ids()) == 14


def test_a_limit_of_pages_stops_and_the_next_run_goes_on_behind_it(
    bench: Bench, account: Account
) -> None:
    """Head first; the backfill goes on from the oldest row but those with its very time."""
    requests = []
    for pages in (1, 2, 2, 3):
        assert bench.sync_well(max_pages=pages).is_stopped == (pages < 3)
        requests.append(account.take_asked())

    assert requests == [
        ["head"],
        ["head", "after e8"],
        ["head", "after e6"],
        ["head", "after e4", "after e1", "after e2"],
    ]
    assert bench.list_ids() == NINE
    assert bench.ledger() == (Interval(EPOCH, hour(10)),)


def test_what_a_stopped_run_knows_is_in_the_ledger(bench: Bench) -> None:
    bench.sync_well(max_pages=2)

    assert bench.ledger() == (Interval(hour(4) + TICK, hour(10)),)
    assert bench.states() == [("executions", "stopped", 0)]


def test_the_head_comes_first_and_then_the_gaps(bench: Bench, account: Account) -> None:
    bench.sync_well()
    account.take_asked()
    bench.write_ledger(
        Interval(EPOCH, hour(2)), Interval(hour(4), hour(6)), Interval(hour(8), hour(10))
    )

    bench.now = hour(11)
    bench.sync_well()

    assert account.asked == ["head", "after e8", "after e4"]
    assert bench.ledger() == (Interval(EPOCH, hour(11)),)


def test_a_gap_in_the_middle_is_walked_from_its_upper_end(bench: Bench, account: Account) -> None:
    bench.sync_well()
    account.take_asked()
    bench.write_ledger(Interval(EPOCH, hour(5)), Interval(hour(7), hour(10)))

    bench.sync_well()

    assert account.asked == ["head", "after e7"], "three rows, the last one below the gap"
    assert bench.ledger() == (Interval(EPOCH, hour(10)),)


def test_a_gap_that_cannot_be_walked_keeps_no_older_one_from_being_walked(
    bench: Bench, account: Account
) -> None:
    bench.sync_well()
    bench.store.execute("DELETE FROM riza.executions WHERE id IN ('e3', 'e7')")
    bench.write_ledger(
        Interval(EPOCH, hour(2.5)), Interval(hour(3.5), hour(6.5)), Interval(hour(7.5), hour(10))
    )
    down = httpx.Response(500, json={"message": "this page cannot be shown"})
    account.before = lambda asked: down if asked == "after e8" else None

    [result] = bench.sync()

    assert "this page cannot be shown" in str(result.errors[0])
    assert "e3" in bench.list_ids()
    assert bench.ledger() == (Interval(EPOCH, hour(6.5)), Interval(hour(7.5), hour(10)))


@pytest.mark.parametrize("is_reversed", [False, True])
def test_details_that_are_stored_are_not_written_over_with_none(
    bench: Bench, account: Account, is_reversed: bool
) -> None:
    """The list has none, and for an hour nothing is to be had by its id: all is read again."""
    account.whole = {record["id"]: record for record in account.records}
    account.records = [
        {name: value for name, value in record.items() if name != "details"}
        for record in account.records
    ]
    bench.sync_well()
    account.whole = {}
    if is_reversed:
        account.records.reverse()
    bench.sync_well(is_full=not is_reversed)

    assert bench.read("SELECT count(*), count(type) FROM riza.executions") == [(9, 9)]


def test_a_row_that_was_missing_in_a_gap_is_found(bench: Bench, account: Account) -> None:
    bench.sync_well()
    bench.store.execute("DELETE FROM riza.executions WHERE id IN ('e5', 'e6')")
    bench.write_ledger(Interval(EPOCH, hour(5)), Interval(hour(7), hour(10)))

    bench.sync_well()

    assert bench.list_ids() == NINE


@pytest.mark.parametrize("is_ascending", [False, True])
@pytest.mark.parametrize("pages", [1, 2, 3])
def test_ties_across_a_page_boundary_are_read_whole(is_ascending: bool, pages: int) -> None:
    """Wherever a run is stopped: six executions of one moment, three on a page."""
    records = [make_execution("a", 0), *(make_execution(f"t{n}", 60) for n in range(6))]
    records.append(make_execution("z", 120))
    account = Account(records if is_ascending else records[::-1])
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well(max_pages=pages)
        claimed = bench.ledger()
        if not any(i.since <= hour(1) < i.until for i in claimed):
            bench.sync_well()

        assert sorted(bench.list_ids()) == ["a", "t0", "t1", "t2", "t3", "t4", "t5", "z"]


def test_an_ascending_list_is_walked_upwards_and_goes_on_where_it_ended() -> None:
    account = Account(make_history(9, is_ascending=True, step=60))
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well(max_pages=1)
        assert account.take_asked() == ["head"]
        assert bench.ledger() == (Interval(EPOCH, hour(3)),)

        bench.sync_well(max_pages=1)
        assert account.take_asked() == ["after e2"], "the tail's time may go on"
        assert bench.ledger() == (Interval(EPOCH, hour(5)),)

        bench.sync_well()
        assert account.take_asked() == ["after e4", "after e7", "after e8"]
        assert bench.ledger() == (Interval(EPOCH, hour(10)),)

        account.records.append(make_execution("e10", 630))
        bench.now = hour(11)
        bench.sync_well()
        assert account.take_asked() == ["after e9", "after e9"]
        assert bench.list_ids() == [*NINE, "e10"]


def test_an_order_that_breaks_midway_makes_everything_be_read(
    bench: Bench, account: Account
) -> None:
    """Also in later passes: only the whole list tells what a part of it holds."""
    bench.sync_well()
    account.records.insert(4, make_execution("odd", 60 * 9.5))
    account.take_asked()
    bench.write_ledger(Interval(hour(8), hour(10)))

    bench.now = hour(11)
    bench.sync_well()

    assert "odd" in bench.list_ids()
    assert bench.ledger() == (Interval(EPOCH, hour(11)),)
    account.take_asked()
    account.records.insert(7, make_execution("odd-2", 60 * 10.5))
    bench.now = hour(12)
    bench.sync_well()
    assert "odd-2" in bench.list_ids()
    assert account.asked[0] == "head"
    assert len(account.asked) == 5


def test_an_order_that_breaks_at_the_head_does_not_forget_what_was_read_below(
    bench: Bench, account: Account
) -> None:
    """All of the list is read again, so all of it is known."""
    bench.sync_well()
    account.records[:0] = [make_execution("new", 60 * 10.5), make_execution("odd", 60 * 10.7)]

    bench.now = hour(11)
    bench.sync_well()

    assert bench.list_ids() == [*NINE, "new", "odd"]
    assert bench.ledger() == (Interval(EPOCH, hour(11)),)


def test_a_head_that_comes_again_does_not_look_like_an_order(account: Account) -> None:
    """A page of one time tells no order; then its records go, and the server begins anew."""
    account.forgotten = "ignored"
    account.records = [make_execution(f"tie-{n}", 60 * 9.5) for n in range(3)] + account.records

    def go_on(asked: str) -> None:
        if asked != "head" and account.records[0]["id"] == "tie-0":
            new = [make_execution(f"new-{n}", 60 * 10.5) for n in range(3)]
            account.records = new + account.records[3:]

    account.before = go_on
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well()

        assert set(NINE) <= set(bench.list_ids())
        assert bench.ledger() == (Interval(EPOCH, hour(10)),)


def test_a_walk_that_begins_anew_claims_no_more_than_up_to_its_beginning() -> None:
    """By the server's clock: what comes late below is looked for from there."""
    account = Account(make_history(9, is_ascending=True, step=60), now=hour(10))

    def forget(asked: str) -> None:
        if asked == "after e6":
            account.now = hour(12)
            account.records = [r for r in account.records if r["id"] not in ("e5", "e6")]

    account.before = forget
    with open_bench(transport=account.transport, now=hour(20)) as bench:
        bench.sync_well()

        assert bench.list_ids() == NINE
        assert bench.ledger() == (Interval(EPOCH, hour(10)),)


def test_a_list_without_order_claims_nothing_before_its_end(account: Account) -> None:
    account.records = account.records[::2] + account.records[1::2]
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well(max_pages=2)
        assert bench.ledger() == ()

        bench.sync_well()
        assert bench.ledger() == (Interval(EPOCH, hour(10)),)
        assert bench.list_ids() == NINE


def test_a_full_pass_looks_at_the_order_anew(bench: Bench, account: Account) -> None:
    """A server that was out of order once does not cost the whole list for ever."""
    ordered = account.records
    account.records = ordered[::2] + ordered[1::2]
    bench.sync_well()
    account.records = ordered

    bench.sync_well(is_full=True)
    account.take_asked()
    bench.sync_well()

    assert account.asked == ["head"]


@pytest.mark.parametrize("forgotten", ["refused", "empty", "ignored"])
@pytest.mark.parametrize("is_ascending", [False, True])
def test_forgotten_anchors_cost_requests_and_no_records(forgotten: Any, is_ascending: bool) -> None:
    """All stored rows are deleted on the server while half of the list is still unread."""
    account = Account(make_history(9, is_ascending=is_ascending, step=60), forgotten)
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well(max_pages=1)
        stored = bench.list_ids()
        account.delete(*stored)

        bench.sync_well()

        assert bench.list_ids() == NINE
        assert bench.ledger() == (Interval(EPOCH, hour(10)),)


@pytest.mark.parametrize("forgotten", ["refused", "empty", "ignored"])
@pytest.mark.parametrize("is_ascending", [False, True])
def test_a_position_that_is_deleted_during_a_walk_is_sought_again(
    forgotten: Any, is_ascending: bool
) -> None:
    account = Account(make_history(9, is_ascending=is_ascending, step=60), forgotten)
    last = "e6" if is_ascending else "e4"

    def delete(asked: str) -> None:
        if asked == f"after {last}":
            account.delete(last)

    account.before = delete
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well()

        assert bench.list_ids() == NINE
        assert bench.ledger() == (Interval(EPOCH, hour(10)),)


def test_a_new_account_may_grow_while_its_only_page_is_read() -> None:
    """One row tells nothing of the order; the second is not proof that there is none."""
    account = Account([make_execution("e1", 60)])

    def grow(asked: str) -> None:
        if len(account.asked) == 2:
            account.records.insert(0, make_execution("e2", 120))

    account.before = grow
    with open_bench(transport=account.transport, now=hour(10)) as bench:
        bench.sync_well()

        assert bench.list_ids() == ["e1", "e2"]
        assert bench.read("SELECT list_order FROM etl.streams") == [("descending",)]


def test_a_list_that_runs_in_circles_is_an_error_and_what_came_is_kept(
    bench: Bench, account: Account
) -> None:
    page = answer_json({"data": [make_execution("e1", 60), make_execution("e1", 60)]})
    account.before = lambda asked: page

    [result] = bench.sync()

    [error] = result.errors
    assert isinstance(error, SourceError)
    assert error.exit_code == 4
    assert "does not advance" in str(error)
    assert bench.list_ids() == ["e1"]
    assert len(account.asked) < 20
    assert bench.states() == [("executions", "failed", 4)]


def test_the_servers_clock_bounds_what_is_claimed(bench: Bench, account: Account) -> None:
    """Ours is an hour ahead: what begins in that hour is still to be read."""
    account.now = hour(10)
    bench.now = hour(11)
    bench.sync_well()
    assert bench.ledger() == (Interval(EPOCH, hour(10)),)

    account.records.insert(0, make_execution("new", 60 * 10.5))
    account.now = hour(11)
    bench.sync_well()

    assert bench.list_ids()[-1] == "new"


def test_a_clock_that_is_set_back_loses_nothing(bench: Bench, account: Account) -> None:
    bench.sync_well()

    bench.now = hour(2)
    bench.sync_well()

    assert bench.ledger() == (Interval(EPOCH, hour(10)),)
    assert bench.list_ids() == NINE


def test_a_record_that_appears_late_is_found_within_the_lookback(
    bench: Bench, account: Account
) -> None:
    """And the lookback grows by how late it was."""
    bench.configs = [make_config(lookback=timedelta(hours=2))]
    bench.sync_well()
    account.records.insert(2, make_execution("late", 60 * 8 - 1))

    bench.now = hour(11)
    result = bench.sync_well()

    assert "late" in bench.list_ids()
    assert bench.read("SELECT longest_delay_s FROM etl.streams") == [(3_600.0 * 3 + 60,)]
    assert result.warnings == [
        "prod/executions: a record appeared 3h 1min after its time, which the lookback of 2h would "
        "have missed; the next runs look further back, but run once with --full: others may be "
        "missing"
    ]


def test_what_a_full_pass_finds_did_not_come_late(bench: Bench, account: Account) -> None:
    """It was missed, who knows why: no later pass has to look back as far."""
    bench.sync_well()
    account.records.insert(2, make_execution("missed", 60 * 8 - 1))

    result = bench.sync_well(is_full=True)

    assert "missed" in bench.list_ids()
    assert result.warnings == []
    assert bench.read("SELECT longest_delay_s FROM etl.streams") == [(0.0,)]


def test_a_lookback_that_was_asked_for_is_not_cut(bench: Bench) -> None:
    """One that grew is: a record a year late must not make every pass read the year again."""
    bench.configs = [make_config(lookback=timedelta(days=90))]
    bench.sync_well()
    [plan] = plan_source(bench.store, bench.configs[0], bench.now, is_full=False)
    bench.store.execute("UPDATE etl.streams SET longest_delay_s = 366 * 86_400")
    [grown] = plan_source(bench.store, make_config(), bench.now, is_full=False)

    assert (plan.lookback, grown.lookback) == (timedelta(days=90), LOOKBACK_MAX)


def test_what_comes_late_within_the_lookback_is_nobodys_business(
    bench: Bench, account: Account
) -> None:
    bench.configs = [make_config(lookback=timedelta(hours=2))]
    bench.sync_well()
    account.records.insert(2, make_execution("late", 60 * 8 + 1))

    bench.now = hour(11)
    first, second = bench.sync_well(), bench.sync_well()

    assert "late" in bench.list_ids()
    assert first.warnings == second.warnings == []
