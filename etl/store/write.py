"""One batch into the store: rows, children, ledger, quarantine and counters, or none of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

import duckdb

from etl.coverage import Interval, Ledger, Progress, apply_walk
from etl.records import Order, to_epoch_us
from etl.store.read import read_ledger
from etl.store.upsert import Fate, Stamp, upsert_rows
from etl.tables import PendingRows


@dataclass(frozen=True, slots=True)
class Walked:
    """What one page did to a stream: its walk's progress, or that the ledger must be forgotten."""

    stream: str
    progress: Progress
    is_reset: bool = False


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record that could not be understood, already redacted; `record` is JSON text."""

    stream: str
    fingerprint: str
    record: str
    path: str
    error: str
    page: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row of etl.runs: what a run did to one stream so far."""

    run_id: str
    source: str
    stream: str
    started_at: datetime
    ended_at: datetime | None = None
    state: str = "running"
    pages: int = 0
    requests: int = 0
    retries: int = 0
    slept_s: float = 0.0
    rows_new: int = 0
    rows_changed: int = 0
    rows_unchanged: int = 0
    rows_quarantined: int = 0
    redactions: int = 0
    received_bytes: int = 0
    covered_s: float = 0.0
    exit_code: int | None = None
    error: str | None = None


@dataclass(slots=True)
class Batch:
    """What waits for one commit of one source.

    `lookbacks_s` and `known` are by stream: the overlap in force, and the newest interval of the
    ledger when the run began.
    """

    source: str
    kind: str
    run_id: str
    pending: dict[str, PendingRows] = field(default_factory=dict)
    walked: list[Walked] = field(default_factory=list)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    runs: dict[str, RunRow] = field(default_factory=dict)
    lookbacks_s: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, Interval] = field(default_factory=dict)


def count_rows(batch: Batch) -> int:
    """Records that wait in the batch."""
    return sum(len(pending.rows) for pending in batch.pending.values())


def write_batch(
    connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime
) -> dict[str, RunRow]:
    """Commit a batch in one transaction; the run rows by stream as they now stand."""
    connection.execute("BEGIN")
    try:
        runs = _write(connection, batch, now)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return runs


def _write(connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime) -> dict[str, RunRow]:
    runs = dict(batch.runs)
    late_from: dict[str, datetime] = {}
    stamp = Stamp(batch.source, batch.run_id, now)
    for pending in batch.pending.values():
        for stream, fate in upsert_rows(connection, pending, stamp, batch.known).items():
            runs[stream] = _count_fate(runs[stream], fate)
            if fate.late_from is not None:
                late_from[stream] = fate.late_from
    for stream in runs:
        walked = [w for w in batch.walked if w.stream == stream]
        gained_s = _write_walks(connection, batch.source, stream, walked)
        runs[stream] = replace(runs[stream], covered_s=runs[stream].covered_s + gained_s)
        order = next((w.progress.order for w in reversed(walked) if w.progress.order), None)
        late_s = (now - late_from[stream]).total_seconds() if stream in late_from else None
        _write_stream(connection, batch, stream, order, late_s, now)
    _write_quarantine(connection, batch, now)
    _write_runs(connection, runs.values())
    return runs


def _count_fate(run: RunRow, fate: Fate) -> RunRow:
    return replace(
        run,
        rows_new=run.rows_new + fate.new,
        rows_changed=run.rows_changed + fate.changed,
        rows_unchanged=run.rows_unchanged + fate.unchanged,
    )


def _write_walks(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str, walked: Sequence[Walked]
) -> float:
    """Bring the ledger of a stream up to date; the seconds of coverage gained."""
    if not walked:
        return 0.0
    before = read_ledger(connection, source, stream)
    ledger = before
    for step in walked:
        ledger = () if step.is_reset else apply_walk(ledger, step.progress)
    if ledger != before:
        _replace_ledger(connection, source, stream, ledger)
    return _measure_s(ledger) - _measure_s(before)


def _replace_ledger(
    connection: duckdb.DuckDBPyConnection, source: str, stream: str, ledger: Ledger
) -> None:
    connection.execute("DELETE FROM etl.coverage WHERE source = ? AND stream = ?", [source, stream])
    if ledger:
        rows = ", ".join(
            f"(make_timestamptz({to_epoch_us(i.since)}), make_timestamptz({to_epoch_us(i.until)}))"
            for i in ledger
        )
        connection.execute(
            f"INSERT INTO etl.coverage SELECT ?, ?, * FROM (VALUES {rows})", [source, stream]
        )


def _write_stream(
    connection: duckdb.DuckDBPyConnection,
    batch: Batch,
    stream: str,
    order: Order | None,
    late_s: float | None,
    now: datetime,
) -> None:
    """Remember a stream: its order, and how late records appear, by which the lookback grows."""
    key = [batch.source, stream]
    found = connection.execute(
        "DELETE FROM etl.streams WHERE source = ? AND stream = ? "
        "RETURNING list_order, longest_delay_s",
        key,
    ).fetchall()
    known_order, delay_s = found[0] if found else (None, 0.0)
    lookback_s = batch.lookbacks_s.get(stream)
    connection.execute(
        "INSERT INTO etl.streams (source, stream, kind, list_order, lookback_s, longest_delay_s, "
        f"synced_at) VALUES (?, ?, ?, ?, ?, ?, make_timestamptz({to_epoch_us(now)}))",
        [*key, batch.kind, order or known_order, lookback_s, max(late_s or 0.0, delay_s)],
    )


def _write_quarantine(connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime) -> None:
    """Store what could not be understood, once: the same record again replaces itself."""
    for record in batch.quarantined:
        key = [batch.source, record.stream, record.fingerprint]
        connection.execute(
            "DELETE FROM etl.quarantine WHERE source = ? AND stream = ? AND fingerprint = ?", key
        )
        connection.execute(
            "INSERT INTO etl.quarantine (source, stream, fingerprint, kind, record, path, error, "
            "page, run_id, quarantined_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, make_timestamptz(?))",
            [
                *key,
                batch.kind,
                record.record,
                record.path,
                record.error,
                record.page,
                batch.run_id,
                to_epoch_us(now),
            ],
        )


def _write_runs(connection: duckdb.DuckDBPyConnection, runs: Iterable[RunRow]) -> None:
    for run in runs:
        connection.execute(
            "DELETE FROM etl.runs WHERE run_id = ? AND source = ? AND stream = ?",
            [run.run_id, run.source, run.stream],
        )
        values = {f.name: getattr(run, f.name) for f in fields(run)}
        holders = ", ".join(
            "make_timestamptz(?::BIGINT)" if isinstance(value, datetime) else "?"
            for value in values.values()
        )
        connection.execute(
            f"INSERT INTO etl.runs ({', '.join(values)}) VALUES ({holders})",
            [to_epoch_us(v) if isinstance(v, datetime) else v for v in values.values()],
        )


def mark_interrupted(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Say so of runs that never ended: only one sync runs at a time, so they were killed."""
    connection.execute(
        "UPDATE etl.runs SET state = 'interrupted', ended_at = make_timestamptz(?) "
        "WHERE state = 'running'",
        [to_epoch_us(now)],
    )


def _measure_s(ledger: Ledger) -> float:
    return sum((interval.until - interval.since).total_seconds() for interval in ledger)
