"""The rows of a history in the words of `executions`, worked out without SQL."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.views.history import ERRORS, History

FAILED = ("failure", "error", "timeout")


@dataclass
class Execution:
    """What a view may ask of an execution."""

    source: str
    kind: str
    stream: str
    execution_id: str
    name: str | None
    type: str | None
    language: str | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    queue_ms: int | None
    outcome: str
    error_type: str | None
    error_message: str | None
    exit_code: int | None
    source_status: str | None
    first_synced_at: datetime
    fingerprint: str | None = None
    work: tuple[Any, ...] | None = None
    row: dict[str, Any] | None = None

    @property
    def is_failed(self) -> bool:
        return self.outcome in FAILED

    @property
    def is_finished(self) -> bool:
        return self.is_failed or self.outcome == "success"


def map_history(history: History) -> list[Execution]:
    return [
        *(_map_riza(row) for row in history.riza),
        *(_map_dag_run(row) for row in history.airflow),
    ]


def _map_riza(row: dict[str, Any]) -> Execution:
    outcome = _judge(row.get("exit_code"), row.get("output_status"))
    duration_ms = row["duration_ms"]
    if duration_ms is not None and duration_ms < 0:
        duration_ms = None
    error_type, message, fingerprint = _explain(row, outcome)
    return Execution(
        row["source"],
        "riza",
        row["stream"],
        row["id"],
        _name(row),
        row["type"],
        row["language"],
        row["started_at"],
        None if duration_ms is None else row["started_at"] + timedelta(milliseconds=duration_ms),
        duration_ms,
        None,
        outcome,
        error_type,
        message,
        row["exit_code"],
        row.get("output_status"),
        row["first_synced_at"],
        fingerprint,
        _find_work(row),
        row,
    )


def _judge(exit_code: int | None, output_status: str | None) -> str:
    if exit_code not in (0, None) or output_status in ("error", "json_serialization_error"):
        return "failure"
    if exit_code is None or output_status not in ("valid", None):
        return "unknown"
    return "success"


def _name(row: dict[str, Any]) -> str | None:
    if row.get("tool_id"):
        return str(row["tool_id"])
    if row["type"] is None:
        return None
    code = row.get("code")
    return row["type"] + ("" if code is None else f" {hashlib.md5(code.encode()).hexdigest()[:12]}")


def _explain(row: dict[str, Any], outcome: str) -> tuple[str | None, str | None, str | None]:
    """Error type, message and fingerprint, from the table the stderr was made of."""
    if outcome != "failure":
        return None, None, None
    number = row["id"].removesuffix("r").removeprefix("01").lstrip("0") or "0"
    fills = [
        [None if text is None else text.replace("{n}", number) for text in error]
        for error in ERRORS
    ]
    _, kind, message, fingerprint = next(fill for fill in fills if fill[0] == row["stderr"])
    if row["exit_code"] in (0, None):
        return row["output_status"], message, fingerprint
    return kind or f"exit code {row['exit_code']}", message, fingerprint


def _find_work(row: dict[str, Any]) -> tuple[Any, ...] | None:
    if row.get("code") is None and row.get("input") is None:
        return None
    return ("riza", *(row.get(key) for key in ("tool_id", "language", "code", "input")))


def _map_dag_run(row: dict[str, Any]) -> Execution:
    outcomes = {"success": "success", "failed": "failure"}
    outcomes |= {"running": "running", "queued": "running"}
    queue_s = None
    if row["start_date"] is not None and row["start_date"] >= row["queued_at"]:
        queue_s = (row["start_date"] - row["queued_at"]).total_seconds()
    is_manual = row["run_type"] == "manual"
    work = ("airflow", row["dag_id"], row["conf"], None if is_manual else row["logical_date"])
    return Execution(
        row["source"],
        "airflow",
        row["stream"],
        f"{row['dag_id']}/{row['dag_run_id']}",
        row["dag_id"],
        row["run_type"],
        None,
        row["start_date"] or row["queued_at"],
        row["end_date"],
        None if row["duration_s"] is None else round(1e3 * row["duration_s"]),
        None if queue_s is None else round(1e3 * queue_s),
        outcomes.get(row["state"], "unknown"),
        None,
        None,
        None,
        row["state"],
        row["first_synced_at"],
        None,
        None if row["conf"] is None else work,
        row,
    )
