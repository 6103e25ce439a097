"""How each platform's records read in the words of `executions`."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.views.conftest import Case
from tests.views.expected import assert_same
from tests.views.mapping import Execution
from tests.views.store import insert, open_store, read

START = datetime(2026, 3, 1, tzinfo=UTC)
NOT_IN_THE_VIEW = {"fingerprint", "work", "row"}


def read_riza(**columns: Any) -> dict[str, Any]:
    store = open_store()
    insert(store, "riza.executions", [{"id": "1", "started_at": START, **columns}])
    return read(store, "SELECT * FROM executions")[0]


def test_every_record_is_one_execution(case: Case) -> None:
    names = [f.name for f in fields(Execution) if f.name not in NOT_IN_THE_VIEW]
    expected = [{name: getattr(e, name) for name in names} for e in case.executions]

    actual = read(case.store, f"SELECT {', '.join(names)} FROM executions")

    assert_same(actual, expected, "source", "execution_id")


def test_the_columns_are_the_contract(case: Case) -> None:
    described = case.store.execute("DESCRIBE executions").fetchall()

    assert [(name, kind) for name, kind, *_ in described] == [
        ("source", "VARCHAR"),
        ("kind", "VARCHAR"),
        ("stream", "VARCHAR"),
        ("execution_id", "VARCHAR"),
        ("name", "VARCHAR"),
        ("type", "VARCHAR"),
        ("language", "VARCHAR"),
        ("started_at", "TIMESTAMP WITH TIME ZONE"),
        ("ended_at", "TIMESTAMP WITH TIME ZONE"),
        ("duration_ms", "BIGINT"),
        ("queue_ms", "BIGINT"),
        ("outcome", "VARCHAR"),
        ("error_type", "VARCHAR"),
        ("error_message", "VARCHAR"),
        ("exit_code", "BIGINT"),
        ("source_status", "VARCHAR"),
        ("attempt", "BIGINT"),
        ("first_synced_at", "TIMESTAMP WITH TIME ZONE"),
        ("synced_at", "TIMESTAMP WITH TIME ZONE"),
    ]


@pytest.mark.parametrize(
    ("exit_code", "output_status", "outcome", "error_type"),
    [
        (0, None, "success", None),
        (0, "valid", "success", None),
        (0, "error", "failure", "error"),
        (0, "json_serialization_error", "failure", "json_serialization_error"),
        (0, "brand new", "unknown", None),
        (0, "", "unknown", None),
        (None, None, "unknown", None),
        (None, "valid", "unknown", None),
        (None, "error", "failure", "error"),
        (3, "valid", "failure", "exit code 3"),
        (3, "brand new", "failure", "exit code 3"),
        (-1, None, "failure", "exit code -1"),
    ],
)
def test_exit_code_and_output_status_make_the_outcome(
    exit_code: int | None, output_status: str | None, outcome: str, error_type: str | None
) -> None:
    row = read_riza(exit_code=exit_code, output_status=output_status)

    assert (row["outcome"], row["error_type"]) == (outcome, error_type)
    assert row["source_status"] == output_status


PYTHON = 'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    x()\n'
NODE = "    at execute (file:///app/main.mjs:3:17)\n    at async file:///app/run.mjs:9:18\n\n"


@pytest.mark.parametrize(
    ("stderr", "error_type", "message"),
    [
        (PYTHON + "KeyError: 'lead'\n", "KeyError", "KeyError: 'lead'"),
        (PYTHON + "KeyboardInterrupt\n", "KeyboardInterrupt", "KeyboardInterrupt"),
        (
            PYTHON + "ValueError: a\n\nDuring handling, another one:\n\n" + PYTHON + "db.Gone: b\n",
            "db.Gone",
            "db.Gone: b",
        ),
        (PYTHON + "db.Gone: b\nclosing the log\n", "db.Gone", "db.Gone: b"),
        (
            f"main.mjs:3\nthrow new TypeError()\n^\n\nTypeError: no\n{NODE}Node.js v22\n",
            "TypeError",
            "TypeError: no",
        ),
        (
            f"Error [ERR_GONE]: no package\n{NODE}",
            "Error",
            "Error [ERR_GONE]: no package",
        ),
        (
            "main.rb:7:in `<main>': undefined method `scan' for nil (NoMethodError)\n\tfrom x\n",
            "NoMethodError",
            "main.rb:7:in `<main>': undefined method `scan' for nil (NoMethodError)",
        ),
        (
            "PHP Fatal error:  Uncaught TypeError: f(): no in /app/main.php:7\nStack trace:\n#0\n",
            "TypeError",
            "PHP Fatal error:  Uncaught TypeError: f(): no in /app/main.php:7",
        ),
        (
            "main.ts(7,9): error TS2345: Argument of type 'string'.\nFound 1 problem.\n",
            "TS2345",
            "main.ts(7,9): error TS2345: Argument of type 'string'.",
        ),
        ("one\r\ntwo\r\n\r\n", "exit code 1", "two"),
        ("   indented   \n \n", "exit code 1", "indented"),
        ("Killed", "exit code 1", "Killed"),
        ("ü" * 20_000 + "\nOSError: late", "OSError", "OSError: late"),
        (f"OSError: {'x' * 20_000}", "exit code 1", "x" * 1000),
        (" \n\n", "exit code 1", None),
        ("", "exit code 1", None),
        (None, "exit code 1", None),
    ],
)
def test_stderr_tells_the_error(stderr: str | None, error_type: str, message: str | None) -> None:
    row = read_riza(exit_code=1, stderr=stderr)

    assert (row["error_type"], row["error_message"]) == (error_type, message)


def test_what_succeeded_has_no_error() -> None:
    row = read_riza(exit_code=0, stderr="ValueError: only a warning\n")

    assert (row["error_type"], row["error_message"]) == (None, None)


@pytest.mark.parametrize("duration_ms", [-1, 2**63 - 1, -(2**63), 9_000_000_000_000_000])
def test_an_impossible_duration_is_none(duration_ms: int) -> None:
    row = read_riza(exit_code=0, duration_ms=duration_ms)

    assert (row["ended_at"], row["duration_ms"]) == (None, None)


def test_the_same_code_has_the_same_name() -> None:
    store = open_store()
    codes = ["print(1)", "print(1)", "print(2)", None]
    rows = [
        {"id": str(n), "started_at": START, "type": "function", "code": code}
        for n, code in enumerate(codes)
    ]
    insert(store, "riza.executions", rows)

    names = [r["name"] for r in read(store, "SELECT name FROM executions ORDER BY execution_id")]

    assert names[0] == names[1] != names[2]
    assert names[0].startswith("function ")
    assert names[3] == "function"


def test_a_dag_run_that_never_started_stands_where_it_was_queued() -> None:
    store = open_store()
    run = {"dag_id": "d", "dag_run_id": "r", "state": "failed", "queued_at": START}
    insert(store, "airflow.dag_runs", [run])

    row = read(store, "SELECT * FROM executions")[0]

    assert (row["started_at"], row["queue_ms"], row["duration_ms"]) == (START, None, None)
    assert (row["execution_id"], row["outcome"]) == ("d/r", "failure")
