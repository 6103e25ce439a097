"""Errors: what is the same one once numbers, names and places are taken out."""

from typing import Any

import pytest

from etl.records import TICK
from tests.views.conftest import Case
from tests.views.expected import assert_same, group
from tests.views.history import DAY
from tests.views.store import NOW, insert, open_store, read

UUID = "6f1ed002-ab5f-4f29-9f0c-2d1f2c3b4a59"


@pytest.mark.parametrize(
    ("message", "fingerprint"),
    [
        ("ValueError: 12 of 3.5 rows", "ValueError: <n> of <n> rows"),
        ("at 12:30:05 on 2026-03-01", "at <n> on <n>-<n>-<n>"),
        ("KeyError: 'lead'", "KeyError: <text>"),
        ('no column "a b" in "c"', "no column <text> in <text>"),
        ("undefined method `scan' for nil", "undefined method <text> for nil"),
        ("undefined method `scan` for nil", "undefined method <text> for nil"),
        ("can't open it, won't try", "can't open it, won't try"),
        ("can't open 'x', won't try", "can't open <text>, won't try"),
        (f"no order {UUID} here", "no order <uuid> here"),
        (f"no order {UUID.upper()}", "no order <uuid>"),
        ("at 0x7f1cb6784570", "at <hex>"),
        ("commit deadbeef12 not found", "commit <hex> not found"),
        ("key hmac:0123456789abcdef refused", "key <hex> refused"),
        ("503 for url: https://a.example/v2?page=7", "<n> for url: <url>"),
        ("cannot reach <https://a.example/x>", "cannot reach <<url>>"),
        ("postgres://db.example:5432/app refused", "<url> refused"),
        ("in /app/main.php:7", "in <path>:<n>"),
        (r"in C:\app\main.py line 7", "in <path> line <n>"),
        ("no upload/invoice-7.csv", "no <path>"),
        ("no ../data/x.csv", "no <path>"),
        ("main.rb:7: no", "main.rb:<n>: no"),
        ("12,000 rows, 1_000 bytes", "<n> rows, <n> bytes"),
        ("ünïcödé 7 ✓", "ünïcödé <n> ✓"),
        ("", None),
    ],
)
def test_fingerprint(message: str, fingerprint: str | None) -> None:
    store = open_store()
    row = {"id": "1", "source": "s", "started_at": NOW, "exit_code": 1, "stderr": message}
    insert(store, "riza.executions", [row])

    found = read(store, "SELECT error_message, error_fingerprint FROM failures")

    assert found == [{"error_message": message or None, "error_fingerprint": fingerprint}]


def test_failures(case: Case) -> None:
    names = ("source", "kind", "stream", "execution_id", "name", "type", "language")
    names += ("started_at", "duration_ms", "error_type", "error_message")
    expected = [
        {name: getattr(e, name) for name in names} | {"error_fingerprint": e.fingerprint}
        for e in case.executions
        if e.is_failed
    ]

    assert_same(read(case.store, "FROM failures"), expected, "source", "execution_id")


def test_top_errors(case: Case) -> None:
    failures = [e for e in case.executions if e.is_failed]
    totals = {s: len(members) for (s,), members in group(failures, lambda e: (e.source,)).items()}
    expected = []
    for (source, kind, fingerprint), members in group(
        failures, lambda e: (e.source, e.error_type, e.fingerprint)
    ).items():
        last = max(members, key=lambda e: (e.started_at, e.execution_id))
        first_seen_at = min(e.started_at for e in members)
        row: dict[str, Any] = {"source": source, "error_type": kind}
        row |= {"error_fingerprint": fingerprint, "failures": len(members)}
        row["share_of_failures"] = len(members) / totals[source]
        row["names"] = len({e.name for e in members} - {None})
        row |= {"first_seen_at": first_seen_at, "last_seen_at": last.started_at}
        row["is_new_24h"] = first_seen_at > NOW - DAY
        row |= {"last_message": last.error_message, "last_execution_id": last.execution_id}
        expected.append(row)

    actual = read(case.store, "FROM top_errors")

    assert_same(actual, expected, "source", "error_type", "error_fingerprint")
    counts = [row["failures"] for row in actual]
    assert counts == sorted(counts, reverse=True)


def test_an_error_is_new_for_24_hours() -> None:
    store = open_store()
    rows = [
        {"id": name, "source": "s", "started_at": started_at, "exit_code": 1, "stderr": name}
        for name, started_at in (
            ("NewError", NOW - DAY + TICK),
            ("OldError", NOW - DAY),
            ("OldError ", NOW),
        )
    ]
    insert(store, "riza.executions", rows)

    found = read(store, "SELECT error_type, is_new_24h FROM top_errors ORDER BY error_type")

    assert found == [
        {"error_type": "NewError", "is_new_24h": True},
        {"error_type": "OldError", "is_new_24h": False},
    ]


def test_exit_codes(case: Case) -> None:
    ended = [e for e in case.executions if e.exit_code is not None]
    totals = {s: len(members) for (s,), members in group(ended, lambda e: (e.source,)).items()}
    expected = []
    for (source, code), members in group(ended, lambda e: (e.source, e.exit_code)).items():
        row: dict[str, Any] = {"source": source, "exit_code": code, "executions": len(members)}
        row |= {"signal": 9 if code == 137 else None, "share": len(members) / totals[source]}
        row["names"] = len({e.name for e in members} - {None})
        row["first_seen_at"] = min(e.started_at for e in members)
        row["last_seen_at"] = max(e.started_at for e in members)
        expected.append(row)

    assert_same(read(case.store, "FROM exit_codes"), expected, "source", "exit_code")


def test_failure_reasons(case: Case) -> None:
    failures = [e for e in case.executions if e.is_failed]
    expected = []
    for (source, name), failed in group(failures, lambda e: (e.source, e.name)).items():
        for (reason,), members in group(failed, lambda e: (e.error_type,)).items():
            row: dict[str, Any] = {"source": source, "name": name, "reason": reason}
            row["failures"] = len(members)
            row["share_of_failures"] = len(members) / len(failed)
            row["first_seen_at"] = min(e.started_at for e in members)
            row["last_seen_at"] = max(e.started_at for e in members)
            expected.append(row)

    actual = read(case.store, "FROM failure_reasons")

    assert_same(actual, expected, "source", "name", "reason")


def test_hostile_text_is_only_text() -> None:
    store = open_store()
    texts = ["'; DROP VIEW executions; --", "<script>alert(1)</script>", "%s {} \\1 $1", "\0", "🧨"]
    rows = [
        {
            "id": text,
            "source": text,
            "started_at": NOW,
            "exit_code": 1,
            "type": text,
            "tool_id": text,
            "language": text,
            "stderr": text,
            "output_status": text,
            "input": '"\\u0000"',
        }
        for text in texts
    ]
    insert(store, "riza.executions", rows)

    names = read(store, "SELECT name FROM failure_rate_by_name")

    assert sorted(row["name"] for row in names) == sorted(texts)
    for view in store.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
        store.execute(f"SELECT count(COLUMNS(*)) FROM {view[0]}").fetchall()
