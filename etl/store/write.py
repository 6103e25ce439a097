"""One batch into the store: rows, children, ledger, quarantine and counters, or none of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Literal

import duckdb
import msgspec

from etl.coverage import Interval, Ledger, Progress, apply_walk
from etl.pending import PendingRows
from etl.records import Table, to_epoch_us
from etl.store.connect import rolling_back
from etl.store.drift import write_drift
from etl.store.read import KnownStream, read_ledgers, read_streams
from etl.store.schema import COVERAGE, QUARANTINE, RUNS, STREAMS, insert_json
from etl.store.upsert import Fate, Stamp, upsert_rows

Mode = Literal["sync", "full", "fetch", "replay"]
"""What a run was asked for: what is missing, everything again, single records, the quarantine."""

TEXTS = """from_json(?, '["VARCHAR"]')"""
"""A list of texts as one parameter, in JSON."""


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
    mode: Mode = "sync"
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

    `released` are quarantined records, by stream and fingerprint, that are understood by now. By
    stream: `runs` as they stand and as last `written`, `lookbacks_s`, the overlap in force, and
    `known`, the newest interval of the ledger when the run began. New rows before `pruned` are left
    out. `late_from`, filled by each commit: the oldest new row of the run that was within `known`.
    """

    source: str
    kind: str
    run_id: str
    pending: dict[str, PendingRows] = field(default_factory=dict)
    walked: list[Walked] = field(default_factory=list)
    gone: list[tuple[Table, str]] = field(default_factory=list)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    runs: dict[str, RunRow] = field(default_factory=dict)
    written: Mapping[str, RunRow] = field(default_factory=dict)
    lookbacks_s: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, Interval] = field(default_factory=dict)
    pruned: Mapping[str, datetime] = field(default_factory=dict)
    late_from: dict[str, datetime] = field(default_factory=dict)


def count_rows(batch: Batch) -> int:
    """Records that wait in the batch, with the versions that newer ones have replaced since."""
    return sum(len(pending.hashes) for pending in batch.pending.values())


def stage_batch(
    connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime
) -> dict[str, RunRow]:
    """Write a batch in one transaction, which is left open; the run rows by stream as they stand.

    What takes the longest, the commit, is one statement that needs nothing of the batch any more.
    """
    connection.execute("BEGIN")
    with rolling_back(connection):
        return _write(connection, batch, now)


def commit_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """Commit what was written."""
    with rolling_back(connection):
        connection.execute("COMMIT")


def _write(connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime) -> dict[str, RunRow]:
    runs = dict(batch.runs)
    late_from: dict[str, datetime] = {}
    drift: Counter[tuple[str, str | None]] = Counter()
    stamp = Stamp(batch.source, batch.run_id, now)
    for pending in batch.pending.values():
        for stream, fate in upsert_rows(
            connection, pending, stamp, batch.known, batch.pruned
        ).items():
            runs[stream] = count_fate(runs[stream], fate)
            drift.update(fate.drift)
            if fate.late_from is not None:
                late_from[stream] = fate.late_from
                batch.late_from[stream] = min(fate.late_from, batch.late_from.get(stream, now))
    for stream, gained_s in _write_walks(connection, batch).items():
        runs[stream] = replace(runs[stream], covered_s=runs[stream].covered_s + gained_s)
    _write_streams(connection, batch, late_from, now)
    _mark_gone(connection, batch, now)
    write_drift(connection, batch.source, batch.kind, drift, now)
    _write_quarantine(connection, batch, now)
    _write_runs(connection, [run for run in runs.values() if run != batch.written.get(run.stream)])
    return runs


def _mark_gone(connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime) -> None:
    """Remember which records the platform has no more: nobody has to ask for them again."""
    for table, record_id in batch.gone:
        connection.execute(
            f"UPDATE {table.name} SET gone_at = make_timestamptz({to_epoch_us(now)}) "
            f'WHERE source = ? AND "{table.key[-1]}" = ?',
            [batch.source, record_id],
        )


def count_fate(run: RunRow, fate: Fate) -> RunRow:
    """The run after some rows more."""
    return replace(
        run,
        rows_new=run.rows_new + fate.new,
        rows_changed=run.rows_changed + fate.changed,
        rows_unchanged=run.rows_unchanged + fate.unchanged,
    )


def _write_walks(connection: duckdb.DuckDBPyConnection, batch: Batch) -> dict[str, float]:
    """Bring the ledgers of the walked streams up to date; the seconds gained by stream."""
    streams = _list_walked(batch)
    if not streams:
        return {}
    before = read_ledgers(connection, batch.source, streams)
    after = walk_ledgers(before, batch.walked)
    changed = [stream for stream in streams if after[stream] != before[stream]]
    if changed:
        _delete_streams(connection, "etl.coverage", batch.source, changed)
        rows = [
            {"source": batch.source, "stream": stream, "since": i.since, "until": i.until}
            for stream in changed
            for i in after[stream]
        ]
        insert_json(connection, COVERAGE, rows)
    return {s: _measure_s(after[s]) - _measure_s(before[s]) for s in streams}


def walk_ledgers(before: Mapping[str, Ledger], walked: Iterable[Walked]) -> dict[str, Ledger]:
    """The ledgers, by stream, after some pages in turn."""
    after = dict(before)
    for step in walked:
        ledger = after[step.stream]
        after[step.stream] = () if step.is_reset else apply_walk(ledger, step.progress)
    return after


def _list_walked(batch: Batch) -> list[str]:
    return list(dict.fromkeys(step.stream for step in batch.walked))


def _delete_streams(
    connection: duckdb.DuckDBPyConnection, table: str, source: str, streams: Sequence[str]
) -> None:
    connection.execute(
        f"DELETE FROM {table} WHERE source = ? AND list_contains({TEXTS}, stream)",
        [source, msgspec.json.encode(streams).decode()],
    )


def _write_streams(
    connection: duckdb.DuckDBPyConnection,
    batch: Batch,
    late_from: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Remember the walked streams: their order, and how late records appear in them."""
    known = read_streams(connection, batch.source)
    changed = describe_streams(known, batch, late_from, now)
    if changed:
        _delete_streams(connection, "etl.streams", batch.source, [s.stream for s in changed])
        insert_json(connection, STREAMS, [asdict(stream) for stream in changed])


def describe_streams(
    known: Mapping[str, KnownStream],
    batch: Batch,
    late_from: Mapping[str, datetime],
    now: datetime,
) -> list[KnownStream]:
    """The walked streams as they are known by now, those that changed.

    The lookback of later passes grows with the longest delay seen.
    """
    orders = {step.stream: step.progress.order for step in batch.walked if step.progress.order}
    changed = []
    for stream in _list_walked(batch):
        before = known.get(stream, KnownStream(batch.source, batch.kind, stream))
        late_s = (now - late_from.get(stream, now)).total_seconds()
        after = replace(
            before,
            list_order=orders.get(stream, before.list_order),
            lookback_s=batch.lookbacks_s.get(stream),
            longest_delay_s=max(late_s, before.longest_delay_s),
        )
        if after != known.get(stream):
            changed.append(after)
    return changed


def _write_quarantine(connection: duckdb.DuckDBPyConnection, batch: Batch, now: datetime) -> None:
    """Store what could not be understood, once: the same record again replaces itself."""
    records = {(q.stream, q.fingerprint): q for q in batch.quarantined}
    names = [f"{stream}/{fingerprint}" for stream, fingerprint in (*records, *batch.released)]
    if not names:
        return
    connection.execute(
        "DELETE FROM etl.quarantine "
        f"WHERE source = ? AND stream || '/' || fingerprint IN (SELECT unnest({TEXTS}))",
        [batch.source, msgspec.json.encode(names).decode()],
    )
    constants = {
        "source": batch.source,
        "kind": batch.kind,
        "run_id": batch.run_id,
        "quarantined_at": now,
    }
    insert_json(connection, QUARANTINE, [asdict(q) | constants for q in records.values()])


def _write_runs(connection: duckdb.DuckDBPyConnection, runs: Sequence[RunRow]) -> None:
    if not runs:
        return
    connection.execute(
        f"DELETE FROM etl.runs WHERE run_id = ? AND source = ? AND list_contains({TEXTS}, stream)",
        [runs[0].run_id, runs[0].source, msgspec.json.encode([r.stream for r in runs]).decode()],
    )
    insert_json(connection, RUNS, [asdict(run) for run in runs])


def mark_interrupted(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Say so of runs that never ended: only one sync runs at a time, so they were killed."""
    connection.execute(
        "UPDATE etl.runs SET state = 'interrupted', ended_at = make_timestamptz(?) "
        "WHERE state = 'running'",
        [to_epoch_us(now)],
    )


def _measure_s(ledger: Ledger) -> float:
    return sum((interval.until - interval.since).total_seconds() for interval in ledger)
