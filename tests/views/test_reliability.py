"""Streaks, recoveries, retries, flakiness, goals, regressions, wasted time."""

import statistics
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.views.conftest import Case, build_case
from tests.views.expected import assert_same, count_outcomes, find_quantile, group
from tests.views.history import DAY, make_history
from tests.views.mapping import Execution
from tests.views.store import NOW, insert, open_store, read, set_meta

MINUTE = timedelta(minutes=1)


def list_finished(case: Case) -> dict[tuple[Any, ...], list[Execution]]:
    """By source and name, in time; of two at the same time the failure is the later one."""
    finished = [e for e in case.executions if e.is_finished]
    finished.sort(key=lambda e: (e.started_at, e.is_failed))
    return group(finished, lambda e: (e.source, e.name))


def test_streaks(case: Case) -> None:
    expected = []
    for (source, name), members in list_finished(case).items():
        length = 1
        while length < len(members) and members[-length - 1].is_failed == members[-1].is_failed:
            length += 1
        successes = [e.started_at for e in members if not e.is_failed]
        failures = [e.started_at for e in members if e.is_failed]
        is_failing = members[-1].is_failed
        row: dict[str, Any] = {"source": source, "name": name}
        row["state"] = "failing" if is_failing else "succeeding"
        row["failures_in_a_row"] = length if is_failing else 0
        row["successes_in_a_row"] = 0 if is_failing else length
        row["last_success_at"] = max(successes, default=None)
        row["last_failure_at"] = max(failures, default=None)
        row["since_success_s"] = (NOW - max(successes)).total_seconds() if successes else None
        expected.append(row)

    assert_same(read(case.store, "FROM streaks"), expected, "source", "name")


def test_time_to_recover(case: Case) -> None:
    expected = []
    for (source, name), members in list_finished(case).items():
        recoveries, failing_since, is_known = [], None, False
        for e in members:
            if e.is_failed and failing_since is None:
                failing_since = e.started_at
            elif not e.is_failed:
                if failing_since is not None and is_known:
                    recoveries.append((e.started_at - failing_since).total_seconds())
                failing_since, is_known = None, True
        if not any(e.is_failed for e in members):
            continue
        row: dict[str, Any] = {"source": source, "name": name, "recoveries": len(recoveries)}
        row["mean_s"] = statistics.fmean(recoveries) if recoveries else None
        row["median_s"] = statistics.median(recoveries) if recoveries else None
        row["max_s"] = max(recoveries, default=None)
        row["failing_since"] = failing_since
        row["failing_for_s"] = failing_since and (NOW - failing_since).total_seconds()
        expected.append(row)

    assert_same(read(case.store, "FROM time_to_recover"), expected, "source", "name")


def read_recovery(outcomes: str) -> dict[str, Any]:
    """The row of one name that succeeded (.) or failed (x) once an hour, up to now."""
    store = open_store()
    first = NOW - (len(outcomes) - 1) * timedelta(hours=1)
    rows = [
        {
            "id": str(n),
            "source": "s",
            "started_at": first + n * timedelta(hours=1),
            "exit_code": int(outcome == "x"),
        }
        for n, outcome in enumerate(outcomes)
    ]
    insert(store, "riza.executions", rows)
    found = read(store, "FROM time_to_recover")
    return found[0] if found else {}


def test_a_recovery_lasts_from_the_first_failure_to_the_next_success() -> None:
    row = read_recovery(".xx..x.")

    assert (row["recoveries"], row["mean_s"], row["max_s"]) == (2, 5400.0, 7200.0)
    assert row["failing_since"] is None


def test_a_history_that_begins_with_failures_shows_no_recovery_from_them() -> None:
    assert read_recovery("xx.")["recoveries"] == 0


def test_what_still_fails_is_shown_with_its_age() -> None:
    row = read_recovery(".x.xxx")

    assert row["recoveries"] == 1
    assert row["failing_since"] == NOW - timedelta(hours=2)
    assert row["failing_for_s"] == 7200.0


def test_what_never_failed_is_not_listed() -> None:
    assert read_recovery("...") == {}


def list_chains(case: Case) -> list[list[Execution]]:
    """Executions of the same work, each within ten minutes of a failure before it."""
    chains: list[list[Execution]] = []
    recent = [e for e in case.executions if e.started_at >= NOW - 30 * DAY]
    works = group([e for e in recent if e.work is not None], lambda e: (e.source, e.work))
    for members in works.values():
        members.sort(key=lambda e: (e.started_at, e.execution_id))
        for place, e in enumerate(members):
            before = members[place - 1] if place else None
            ended_at = before and (before.ended_at or before.started_at)
            if before and before.is_failed and e.started_at - ended_at <= 10 * MINUTE:
                chains[-1].append(e)
            else:
                chains.append([e])
    return chains


def test_retry_chains(case: Case) -> None:
    expected = []
    for chain in list_chains(case):
        if len(chain) > 1:
            row: dict[str, Any] = {"source": chain[0].source, "name": chain[0].name}
            row["first_execution_id"] = chain[0].execution_id
            row["last_execution_id"] = chain[-1].execution_id
            row["started_at"] = chain[0].started_at
            row["ended_at"] = max(e.ended_at or e.started_at for e in chain)
            row["executions"] = row["attempts"] = len(chain)
            row["last_outcome"] = chain[-1].outcome
            row["is_recovered"] = chain[-1].outcome == "success"
            expected.append(row)

    actual = read(case.store, "FROM retry_chains")

    assert_same(actual, expected, "source", "first_execution_id")


def test_retries(case: Case) -> None:
    expected = []
    for (source, name), chains in group(
        list_chains(case), lambda chain: (chain[0].source, chain[0].name)
    ).items():
        retried = [chain for chain in chains if len(chain) > 1]
        retries = sum(len(chain) - 1 for chain in chains)
        recovered = sum(chain[-1].outcome == "success" for chain in retried)
        row: dict[str, Any] = {"source": source, "name": name}
        row["executions"] = sum(len(chain) for chain in chains)
        row["runs"] = len(chains)
        row["retried_runs"] = len(retried)
        row["retries"] = retries
        row["attempts_per_run"] = 1 + retries / len(chains)
        row["recovered_by_retry"] = recovered
        row["recovery_rate"] = recovered / len(retried) if retried else None
        expected.append(row)

    assert_same(read(case.store, "FROM retries"), expected, "source", "name")


def test_flaky(case: Case) -> None:
    recent = [
        e
        for e in case.executions
        if e.work is not None and e.is_finished and e.started_at >= NOW - 14 * DAY
    ]
    expected = []
    for (source, name), members in group(recent, lambda e: (e.source, e.name)).items():
        inputs = list(group(members, lambda e: (e.work,)).values())
        flaky = [tried for tried in inputs if len({e.is_failed for e in tried}) == 2]
        recovered = [tried for tried in flaky if _has_recovered(tried)]
        if flaky:
            row: dict[str, Any] = {"source": source, "name": name, "finished": len(members)}
            row |= {"inputs": len(inputs), "flaky_inputs": len(flaky)}
            row["recovered_inputs"] = len(recovered)
            row["flake_rate"] = len(recovered) / len(inputs)
            row["last_seen_at"] = max(e.started_at for tried in flaky for e in tried)
            expected.append(row)

    assert_same(read(case.store, "FROM flaky"), expected, "source", "name")


def _has_recovered(tried: list[Execution]) -> bool:
    return any(
        a.is_failed and not b.is_failed and a.started_at < b.started_at
        for a in tried
        for b in tried
    )


def test_there_are_retries_and_flaky_inputs_to_compare() -> None:
    store = build_case(make_history(1)).store

    assert read(store, "FROM retry_chains WHERE is_recovered")
    assert read(store, "FROM flaky WHERE recovered_inputs < flaky_inputs")


def test_without_code_and_input_nothing_is_known_to_be_the_same() -> None:
    """With payloads = "none" two executions of a tool would look like one work done twice."""
    store = open_store()
    rows = [
        {"id": str(n), "source": "s", "started_at": NOW, "type": "tool", "exit_code": n}
        for n in (1, 0)
    ]
    insert(store, "riza.executions", rows)

    assert read(store, "FROM retries") == []
    assert read(store, "FROM flaky") == []


GOALS = {"slo_ms": "812", "slo_ms:T1": "9", "slo_target": "0.9", "slo_target:T2": "0.5"}


@pytest.mark.parametrize("goals", [{}, GOALS, {"slo_target": "1"}, {"slo_ms": "fast"}])
def test_slo(case: Case, goals: dict[str, str]) -> None:
    case = build_case(case.history)
    for setting, value in goals.items():
        set_meta(case.store, setting, value)
    numbers = {key: float(value) for key, value in goals.items() if value != "fast"}
    recent = [e for e in case.executions if e.is_finished and e.started_at >= NOW - 28 * DAY]
    expected = []
    for (source, name), members in group(recent, lambda e: (e.source, e.name)).items():
        within_ms = numbers.get(f"slo_ms:{name}", numbers.get("slo_ms"))
        target = numbers.get(f"slo_target:{name}", numbers.get("slo_target", 0.99))
        bad = sum(not _is_good(e, within_ms) for e in members)
        budget = (1 - target) * len(members)
        good_rate = 1 - bad / len(members)
        row: dict[str, Any] = {"source": source, "name": name, "target": target}
        row |= {"within_ms": within_ms, "finished": len(members), "bad": bad}
        row |= {"good": len(members) - bad, "good_rate": good_rate, "budget": budget}
        row["is_met"] = good_rate >= target
        row["budget_left"] = 1 - bad / budget if budget else None
        expected.append(row)

    assert_same(read(case.store, "FROM slo"), expected, "source", "name")


def _is_good(execution: Execution, within_ms: float | None) -> bool:
    if execution.outcome != "success":
        return False
    if within_ms is None:
        return True
    return execution.duration_ms is not None and execution.duration_ms <= within_ms


def compare(members: list[Execution], since: datetime, until: datetime) -> dict[str, Any]:
    """What the view of regressions knows of one of the two weeks."""
    week = [e for e in members if since <= e.started_at < until]
    durations = [
        e.duration_ms for e in week if e.outcome == "success" and e.duration_ms is not None
    ]
    none = {"finished": 0, "failed": 0, "failure_rate": None}
    counts = count_outcomes(week) if week else none | {"executions": 0}
    row = {key: counts[key] for key in ("executions", "finished", "failed", "failure_rate")}
    row["failure_rate_low"] = counts.get("failure_rate_low")
    row["failure_rate_high"] = counts.get("failure_rate_high")
    return row | {"p95_ms": find_quantile(durations, 0.95)}


def test_regressions(case: Case) -> None:
    recent = [e for e in case.executions if NOW - 14 * DAY <= e.started_at <= NOW]
    expected = []
    for (source, name), members in group(recent, lambda e: (e.source, e.name)).items():
        now = compare(members, NOW - 7 * DAY, NOW + DAY)
        before = compare(members, NOW - 14 * DAY, NOW - 7 * DAY)
        row = {"source": source, "name": name} | now
        row |= {f"previous_{key}": value for key, value in before.items()}
        row["volume_change"] = _change(now["executions"], before["executions"])
        row["p95_change"] = _change(now["p95_ms"], before["p95_ms"])
        row["failure_rate_change"], row["is_significant"] = None, False
        if now["finished"] and before["finished"]:
            row["failure_rate_change"] = now["failure_rate"] - before["failure_rate"]
            row["is_significant"] = (
                now["failure_rate_low"] > before["failure_rate_high"]
                or now["failure_rate_high"] < before["failure_rate_low"]
            )
        expected.append(row)

    assert_same(read(case.store, "FROM regressions"), expected, "source", "name")


def _change(now: float | None, before: float | None) -> float | None:
    return now / before - 1 if now is not None and before else None


def test_a_rise_beyond_both_intervals_is_significant() -> None:
    store = open_store()
    rows = [
        {
            "id": f"{weeks} {n}",
            "source": "s",
            "started_at": NOW - weeks * 7 * DAY - DAY,
            "exit_code": int(n < failed),
        }
        for weeks, failed in ((0, 50), (1, 5))
        for n in range(100)
    ]
    insert(store, "riza.executions", rows)

    row = read(store, "FROM regressions")[0]

    assert row["is_significant"]
    assert row["failure_rate_change"] == pytest.approx(0.45)


@pytest.mark.parametrize("price", [None, 0.25])
def test_wasted_time(case: Case, price: float | None) -> None:
    case = build_case(case.history)
    if price is not None:
        set_meta(case.store, "price_per_s", str(price))
    measured = [e for e in case.executions if e.duration_ms is not None and e.outcome != "running"]
    totals = {
        source: sum(e.duration_ms or 0 for e in members) / 1e3
        for (source,), members in group(measured, lambda e: (e.source,)).items()
    }
    expected = []
    for (source, name), members in group(measured, lambda e: (e.source, e.name)).items():
        total_s = sum(e.duration_ms for e in members) / 1e3
        wasted_s = sum(e.duration_ms for e in members if e.is_failed) / 1e3
        row: dict[str, Any] = {"source": source, "name": name, "executions": len(members)}
        row |= {"failed": sum(e.is_failed for e in members)}
        row |= {"total_s": total_s, "wasted_s": wasted_s}
        row["wasted_share"] = wasted_s / total_s if total_s else None
        row["wasted_share_of_source"] = wasted_s / totals[source] if totals[source] else None
        row["total_cost"] = None if price is None else price * total_s
        row["wasted_cost"] = None if price is None else price * wasted_s
        expected.append(row)

    assert_same(read(case.store, "FROM wasted_time"), expected, "source", "name")
