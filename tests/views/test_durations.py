"""Durations: quantiles over successes and over all, spread, waiting, the slow ones, sizes."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.views.conftest import Case, build_case
from tests.views.expected import assert_same, find_quantile, group, measure
from tests.views.history import DAY
from tests.views.mapping import Execution
from tests.views.store import NOW, insert, open_store, read
from tests.views.test_rates import ZONES, covers, find_day


def list_measured(executions: list[Execution]) -> list[Execution]:
    return [e for e in executions if e.duration_ms is not None and e.outcome != "running"]


def measure_both(members: list[Execution]) -> dict[str, Any]:
    """Over successes, and over all."""
    succeeded = [e.duration_ms for e in members if e.outcome == "success"]
    return measure(succeeded) | measure([e.duration_ms for e in members], "all_")


@pytest.mark.parametrize("zone", ZONES)
def test_duration_daily(case: Case, zone: str) -> None:
    case = build_case(case.history, zone)
    expected = []
    for (source, day), members in group(
        list_measured(case.executions),
        lambda e: (e.source, e.started_at.astimezone(ZoneInfo(zone)).date()),
    ).items():
        is_complete = covers(case.history, source, *find_day(day, zone))
        row = {"source": source, "day": day, "is_complete": is_complete}
        expected.append(row | measure_both(members))

    assert_same(read(case.store, "FROM duration_daily"), expected, "source", "day")


def test_duration_by_name(case: Case) -> None:
    measured = list_measured(case.executions)
    expected = [
        {"source": source, "name": name} | measure_both(members)
        for (source, name), members in group(measured, lambda e: (e.source, e.name)).items()
    ]

    assert_same(read(case.store, "FROM duration_by_name"), expected, "source", "name")


EDGES_MS = [0, *(step * 10**decade for decade in range(13) for step in (1, 2, 5))]


def find_bin(duration_ms: int) -> tuple[int, int]:
    place = max(n for n, edge in enumerate(EDGES_MS) if edge <= duration_ms)
    return EDGES_MS[place], EDGES_MS[place + 1]


def test_duration_histogram(case: Case) -> None:
    expected = []
    for (source,), members in group(list_measured(case.executions), lambda e: (e.source,)).items():
        below = 0
        for (from_ms, to_ms), binned in sorted(
            group(members, lambda e: find_bin(e.duration_ms or 0)).items()
        ):
            below += len(binned)
            row: dict[str, Any] = {"source": source, "from_ms": from_ms, "to_ms": to_ms}
            row["executions"] = len(binned)
            row["succeeded"] = sum(e.outcome == "success" for e in binned)
            row["failed"] = sum(e.is_failed for e in binned)
            row["share"] = len(binned) / len(members)
            expected.append(row | {"cumulative_share": below / len(members)})

    assert_same(read(case.store, "FROM duration_histogram"), expected, "source", "from_ms")


def test_each_edge_of_the_histogram_begins_a_bin() -> None:
    """Logarithms of powers of ten must not round to the bin below."""
    store = open_store()
    durations = sorted({max(edge + step, 0) for edge in EDGES_MS for step in (-1, 0, 1)})
    durations = [d for d in durations if d <= 3_155_760_000_000]
    rows = [
        {"id": str(d), "source": str(d), "started_at": NOW, "duration_ms": d} for d in durations
    ]
    insert(store, "riza.executions", rows)

    bins = {
        int(row["source"]): (row["from_ms"], row["to_ms"])
        for row in read(store, "FROM duration_histogram")
    }

    assert bins == {d: find_bin(d) for d in durations}


def test_queue_time(case: Case) -> None:
    """Where the platform does not tell how long it waited, nothing is known, which is not 0."""
    expected = []
    for (source, name), members in group(case.executions, lambda e: (e.source, e.name)).items():
        waits = [e.queue_ms for e in members if e.queue_ms is not None]
        row: dict[str, Any] = {"source": source, "name": name, "executions": len(members)}
        measured = measure(waits)
        del measured["stddev_ms"]
        expected.append(row | {"queued": len(waits)} | measured | row)

    actual = read(case.store, "FROM queue_time")

    assert_same(actual, expected, "source", "name")


def test_slowest(case: Case) -> None:
    expected = []
    for (source,), members in group(
        [e for e in case.executions if e.duration_ms is not None], lambda e: (e.source,)
    ).items():
        members.sort(key=lambda e: e.execution_id)
        members.sort(key=lambda e: e.started_at, reverse=True)
        members.sort(key=lambda e: e.duration_ms, reverse=True)
        names = ("execution_id", "name", "type", "language", "started_at", "duration_ms")
        for place, e in enumerate(members[:100], 1):
            row = {name: getattr(e, name) for name in (*names, "outcome")}
            expected.append({"source": source, "place": place} | row)

    assert_same(read(case.store, "FROM slowest"), expected, "source", "place")


def test_outliers(case: Case) -> None:
    recent = [e for e in list_measured(case.executions) if e.started_at >= NOW - 30 * DAY]
    expected = []
    for (source, name), members in group(recent, lambda e: (e.source, e.name)).items():
        p95_ms = find_quantile([e.duration_ms for e in members if e.outcome == "success"], 0.95)
        if p95_ms is None:
            continue
        for e in members:
            if e.duration_ms > 2 * p95_ms and e.duration_ms > 1000:
                row = {"source": source, "name": name, "execution_id": e.execution_id}
                row |= {"started_at": e.started_at, "duration_ms": e.duration_ms}
                row |= {"p95_ms": p95_ms, "outcome": e.outcome}
                row["times_p95"] = e.duration_ms / p95_ms if p95_ms else None
                expected.append(row)

    assert_same(read(case.store, "FROM outliers"), expected, "source", "execution_id")


def test_an_outlier_takes_more_than_a_second_and_more_than_twice_as_long() -> None:
    store = open_store()
    usual = [400] * 50 + [2000] * 50
    rows = [
        {"id": f"{n}", "source": "s", "exit_code": 0, "duration_ms": duration_ms}
        | {"tool_id": "short" if n < 50 else "long", "started_at": NOW - DAY}
        for n, duration_ms in enumerate(usual)
    ]
    late = {"source": "s", "exit_code": 1, "started_at": NOW}
    for name, duration_ms in (("short", 1000), ("short", 1001), ("long", 4000), ("long", 4001)):
        rows.append(late | {"id": name, "tool_id": name, "duration_ms": duration_ms})
    insert(store, "riza.executions", rows)

    found = read(store, "SELECT duration_ms, times_p95 FROM outliers ORDER BY duration_ms")

    assert found == [
        {"duration_ms": 1001, "times_p95": 1001 / 400},
        {"duration_ms": 4001, "times_p95": 4001 / 2000},
    ]


PARTS = ("input", "output", "stdout", "stderr")


def find_sizes(execution: Execution) -> dict[str, int | None]:
    row = dict(execution.row or {})
    if execution.kind == "airflow":
        row = {"input": row["conf"]}
    return {part: None if row.get(part) is None else len(row[part].encode()) for part in PARTS}


def count_redactions(execution: Execution) -> int:
    row = execution.row or {}
    return sum(str(row.get(part) or "").count("hmac:") for part in (*PARTS, "code", "conf"))


def test_payload_size(case: Case) -> None:
    recent = [e for e in case.executions if e.started_at >= NOW - 30 * DAY]
    expected = []
    for (source, name), members in group(recent, lambda e: (e.source, e.name)).items():
        sizes = [find_sizes(e) for e in members]
        row: dict[str, Any] = {"source": source, "name": name, "executions": len(members)}
        row["total_bytes"] = sum(size or 0 for parts in sizes for size in parts.values())
        for part in PARTS:
            known = [size for parts in sizes if (size := parts[part]) is not None]
            row[f"{part}_p50_bytes"] = find_quantile(known, 0.5)
            row[f"{part}_p95_bytes"] = find_quantile(known, 0.95)
            row[f"{part}_max_bytes"] = max(known) if len(known) >= 5 else None
        row["redactions"] = sum(count_redactions(e) for e in members)
        row["redactions_per_execution"] = row["redactions"] / len(members)
        expected.append(row)

    assert_same(read(case.store, "FROM payload_size"), expected, "source", "name")
