"""How each platform's records read in the words of `executions`."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.redact.fingerprint import describe_text
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


MEASURES = "input_bytes, output_bytes, stdout_bytes, stderr_bytes, redactions"


@pytest.mark.parametrize(
    ("table", "texts", "measures"),
    [
        (
            "riza.executions",
            {"input": '{"a": 1}', "output": "[]", "stdout": "é\n", "stderr": "", "code": "x"},
            (8, 2, 3, 0, 0),
        ),
        ("b3os.executions", {"request_payload": "7" * 99, "response_payload": "{}"}, (99, 2, 0)),
        ("airflow.dag_runs", {"conf": '{"k": "é"}'}, (11, 0)),
    ],
)
def test_what_payloads_none_left_out_has_the_size_it_had_and_no_secrets(
    table: str, texts: dict[str, str], measures: tuple[int, ...]
) -> None:
    told = {name: text and describe_text(b"key", text) for name, text in texts.items()}
    store = open_store()
    insert(store, table, [told])

    found = read(store, f"SELECT {MEASURES} FROM mapped_executions")

    assert tuple(value for value in found[0].values() if value is not None) == measures


def test_an_error_that_was_left_out_is_not_explained() -> None:
    row = read_riza(exit_code=1, stderr=describe_text(b"key", "KeyError: 'a'"))

    assert (row["outcome"], row["error_type"]) == ("failure", "exit code 1")
    assert row["error_message"] is None


def test_what_only_looks_like_a_size_is_a_text() -> None:
    store = open_store()
    printed = '{"bytes":7,"hash":"hmac:12"}'
    insert(store, "riza.executions", [{"id": "1", "stdout": printed}])

    assert read(store, "SELECT stdout_bytes FROM mapped_executions") == [
        {"stdout_bytes": len(printed)}
    ]


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
