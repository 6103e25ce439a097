"""Histories of two kinds of source: with ties, nulls, open executions and words nobody knows."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import duckdb

from tests.views.store import NOW, insert, insert_children, insert_coverage

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ERRORS = (
    (
        'Traceback (most recent call last):\n  File "main.py", line {n}, in <module>\n'
        "ValueError: line {n}: no amount\n",
        "ValueError",
        "ValueError: line {n}: no amount",
        "ValueError: line <n>: no amount",
    ),
    ("KeyError: 'lead {n}'\n", "KeyError", "KeyError: 'lead {n}'", "KeyError: <text>"),
    ("Killed\n", None, "Killed", "Killed"),
    ("", None, None, None),
    (None, None, None, None),
)
"""What stands in stderr, and what the views should make of it; {n} varies."""


@dataclass
class History:
    """Rows per table, and the coverage of each stream."""

    riza: list[dict[str, Any]] = field(default_factory=list)
    allows: list[dict[str, Any]] = field(default_factory=list)
    airflow: list[dict[str, Any]] = field(default_factory=list)
    coverage: list[tuple[str, str, str, list[tuple[datetime, datetime]]]] = field(
        default_factory=list
    )

    def store(self, connection: duckdb.DuckDBPyConnection) -> None:
        insert(connection, "riza.executions", self.riza)
        insert_children(connection, "riza.executions", "riza.http_allow", self.allows)
        insert(connection, "airflow.dag_runs", self.airflow)
        for kind, source, stream, ranges in self.coverage:
            insert_coverage(connection, kind, source, stream, ranges)


def make_history(seed: int, riza_rows: int = 900, airflow_rows: int = 250) -> History:
    """A few months; each choice that a view makes is met by some rows."""
    chance = random.Random(seed)
    history = History()
    for number in range(riza_rows):
        history.riza.append(_make_riza(chance, number))
    for row in chance.sample(history.riza, riza_rows // 6):
        history.riza.append(_repeat(chance, row))
    for row in history.riza:
        for position in range(chance.choice((0, 0, 1, 3))):
            host = chance.choice(("a.example.com", "b.example.com", None))
            history.allows.append(
                {"source": row["source"], "execution_id": row["id"], "position": position}
                | {"host": host, "synced_at": row["synced_at"]}
            )
    history.airflow = [_make_dag_run(chance, number) for number in range(airflow_rows)]
    history.coverage = _make_coverage()
    return history


def _make_coverage() -> list[tuple[str, str, str, list[tuple[datetime, datetime]]]]:
    early = NOW - 200 * DAY
    return [
        ("riza", "alpha", "executions", [(early, NOW - 20 * DAY), (NOW - 9 * DAY, NOW)]),
        ("riza", "beta", "executions", [(NOW - 40 * DAY, NOW - HOUR)]),
        ("airflow", "gamma", "dag_runs", [(early, NOW - 30 * DAY), (NOW - 15 * DAY, NOW)]),
        ("airflow", "gamma", "task_instances", [(NOW - DAY, NOW)]),
    ]


def _make_time(chance: random.Random) -> datetime:
    """Within 60 days, many in the last week; on a coarse grid, so that times collide."""
    reach = chance.choice((1, 7, 14, 30, 60))
    edge = chance.random() < 0.02
    if edge:
        return NOW - chance.choice((7, 14, 28, 30)) * DAY
    return NOW - timedelta(minutes=7 * chance.randrange(reach * 24 * 60 // 7))


def _make_riza(chance: random.Random, number: int) -> dict[str, Any]:
    source = chance.choice(("alpha", "alpha", "beta"))
    started_at = _make_time(chance)
    kind = chance.choice(("tool", "function", "script", "script", None))
    exit_code = chance.choice((0, 0, 0, 0, 0, 1, 1, 137, None))
    row = {
        "id": f"01{number:06}",
        "source": source,
        "stream": "executions",
        "started_at": started_at,
        "language": chance.choice(("python", "javascript", "ruby", None)),
        "duration_ms": chance.choice((0, 1, 7, 9, 10, 812, 999, 1000, 61_000, 5_000_000, -3, None)),
        "exit_code": exit_code,
        "type": kind,
        "first_synced_at": chance.choice((NOW - 10 * DAY, started_at + 2 * HOUR)),
        "synced_at": NOW,
        **_make_details(chance, kind, number),
    }
    template = chance.choice(ERRORS)[0]
    row["stderr"] = None if template is None else template.replace("{n}", str(number))
    return row


def _make_details(chance: random.Random, kind: str | None, number: int) -> dict[str, Any]:
    if kind is None:
        return {}
    statuses = ("valid", "valid", "valid", "error", "json_serialization_error", None, "odd")
    details: dict[str, Any] = {
        "input": chance.choice(('{"n": 1}', '"ü"', "null", None)),
        "stdout": chance.choice(("", "hmac:0123456789abcdef done", "ä" * chance.randrange(9))),
    }
    if kind != "script":
        details |= {"output": '{"ok": true}', "output_status": chance.choice(statuses)}
    if kind == "tool":
        details |= {"tool_id": chance.choice(("T1", "T2", "T3", "")), "revision_id": "R1"}
    else:
        details |= {"code": chance.choice(("print(1)", "print(2)", f"print({number})", None))}
    return details


def _repeat(chance: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    """The same work again: soon enough to be a retry, just so, or too late."""
    pause = chance.choice((timedelta(), timedelta(minutes=10), timedelta(minutes=11), DAY))
    ended_at = row["started_at"] + timedelta(milliseconds=max(row["duration_ms"] or 0, 0))
    return row | {
        "id": row["id"] + "r",
        "started_at": min(ended_at + pause, NOW),
        "exit_code": chance.choice((0, 0, 1)),
        "output_status": None if row["type"] == "script" else "valid",
    }


def _make_dag_run(chance: random.Random, number: int) -> dict[str, Any]:
    queued_at = _make_time(chance)
    state = chance.choice(("success", "success", "success", "failed", "running", "queued", "odd"))
    queued_s = chance.choice((0, 1.25, 90, -2))
    start_date = None if state == "queued" else queued_at + timedelta(seconds=queued_s)
    duration_s = chance.choice((0.0004, 9.661976, 3600.5, None))
    is_over = state in ("success", "failed") and start_date is not None
    ended = start_date + timedelta(seconds=duration_s or 0) if is_over and start_date else None
    run_type = chance.choice(("scheduled", "manual"))
    return {
        "source": "gamma",
        "stream": "dag_runs",
        "dag_id": chance.choice(("daily", "hourly", "rare")),
        "dag_run_id": f"run+{number}",
        "state": state,
        "run_type": run_type,
        "logical_date": queued_at if run_type == "scheduled" else None,
        "run_after": queued_at,
        "queued_at": queued_at,
        "start_date": start_date,
        "end_date": ended,
        "duration_s": duration_s if is_over else None,
        "conf": chance.choice(("{}", '{"key": "hmac:0123456789abcdef"}', None)),
        "first_synced_at": queued_at + HOUR,
        "synced_at": NOW,
    }
