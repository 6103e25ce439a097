"""The status of streams as a table, as JSON, and as a verdict."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from etl.cli.render import paint, print_table
from etl.errors import LagExceeded
from etl.status import LastRun, StreamStatus
from etl.wording import count_things, format_count, format_duration, format_time

COLUMNS = (
    "source",
    "stream",
    "rows",
    "open",
    "known from",
    "known until",
    "gaps",
    "lag",
    "lookback",
    "payloads",
    "last run",
)
RIGHT = frozenset({"rows", "open", "gaps", "lag", "lookback"})
CUTTABLE = frozenset({"stream", "last run"})


def check_lag(statuses: Sequence[StreamStatus], max_lag: timedelta) -> None:
    """Raise LagExceeded for the streams that are behind, or of which nothing is known."""
    behind = [
        f"{status.source}/{status.stream} "
        + ("was never synced" if status.lag is None else f"is {format_duration(status.lag)} behind")
        for status in statuses
        if status.lag is None or status.lag > max_lag
    ]
    if behind:
        raise LagExceeded(f"{', '.join(behind)}; allowed are {format_duration(max_lag)}")


def print_statuses(
    statuses: Sequence[StreamStatus], now: datetime, max_lag: timedelta | None
) -> None:
    rows = [make_row(status, now, max_lag) for status in statuses]
    print_table(
        COLUMNS,
        rows,
        [name in RIGHT for name in COLUMNS],
        can_be_cut=[name in CUTTABLE for name in COLUMNS],
    )


def print_drift(drift: Sequence[tuple[str, int, int]]) -> None:
    """One line about unknown fields and values by source; nothing where there are none."""
    if not drift:
        return
    seen = [
        f"{source} {count_things(fields, 'field')} and {count_things(values, 'value')}"
        for source, fields, values in drift
    ]
    click.echo(f'undocumented: {"; ".join(seen)}; see: etl query "FROM etl.drift"')


def make_row(status: StreamStatus, now: datetime, max_lag: timedelta | None) -> tuple[Any, ...]:
    ledger = status.ledger
    is_behind = max_lag is not None and (status.lag is None or status.lag > max_lag)
    return (
        status.source,
        status.stream,
        format_count(status.rows),
        format_count(status.open_rows),
        format_time(ledger[0].since) if ledger else "nothing",
        format_time(status.known_until),
        paint(str(len(status.gaps)), "bad" if status.gaps else "plain"),
        paint(
            "" if status.lag is None else format_lag(status.lag),
            "bad" if is_behind else "plain",
        ),
        format_duration(status.lookback),
        paint(status.payloads, "bad" if status.payloads == "full" else "plain"),
        describe_run(status.last_run, now),
    )


def format_lag(lag: timedelta) -> str:
    return format_duration(timedelta(seconds=round(lag.total_seconds())))


def describe_run(run: LastRun | None, now: datetime) -> Any:
    """`done 3min ago, 12 new`, `failed 1h ago: …`."""
    if run is None:
        return paint("never", "dim")
    ago_s = round((now - (run.ended_at or run.started_at)).total_seconds())
    ago = format_duration(timedelta(seconds=max(1, ago_s)))
    if run.ended_at is None:
        return paint(f"running since {ago}", "plain")
    if run.error is not None:
        return paint(f"{run.state} {ago} ago: {run.error}", "bad")
    counts = f"{run.rows_new} new" + (f", {run.rows_changed} changed" if run.rows_changed else "")
    return paint(f"{run.state} {ago} ago, {counts}", "plain")


def to_json(status: StreamStatus) -> dict[str, Any]:
    """The status with times in ISO 8601 and durations in seconds."""
    run = status.last_run
    return {
        "source": status.source,
        "kind": status.kind,
        "stream": status.stream,
        "payloads": status.payloads,
        "rows": status.rows,
        "open_rows": status.open_rows,
        "order": status.order,
        "lookback_s": status.lookback.total_seconds(),
        "lag_s": None if status.lag is None else status.lag.total_seconds(),
        "coverage": [[i.since.isoformat(), i.until.isoformat()] for i in status.ledger],
        "gaps": [[i.since.isoformat(), i.until.isoformat()] for i in status.gaps],
        "last_run": None
        if run is None
        else {
            "started_at": run.started_at.isoformat(),
            "ended_at": run.ended_at and run.ended_at.isoformat(),
            "state": run.state,
            "rows_new": run.rows_new,
            "rows_changed": run.rows_changed,
            "exit_code": run.exit_code,
            "error": run.error,
        },
    }
