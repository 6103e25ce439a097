"""Quarantined records tried again, without the API: this program may understand them by now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

import duckdb
import msgspec

from etl.coverage import start_walk
from etl.decode import decode_records
from etl.pending import PendingRows
from etl.records import EPOCH, Flat, Gap, Page, SourceConfig, Stream, Table
from etl.sources import SOURCES
from etl.store.lookup import read_stored
from etl.sync.load import ONE_COMMIT, Loader, commit, load_step
from etl.sync.run import SourceResult, Surroundings, plan_source, start_loader
from etl.sync.walk import Step
from etl.tables import Key, read_key


@dataclass(frozen=True, slots=True)
class Understood:
    """A quarantined record that is understood by now: a page of one, and its rows."""

    stream: Stream
    fingerprint: str
    page: Page
    flat: Flat


def replay_quarantine(config: SourceConfig, around: Surroundings) -> SourceResult:
    """Store what is understood now and take it out of the quarantine, in one transaction.

    They are redacted as the source asks for today: when they were set aside their known places
    could not be told apart, and the policy may have been another. A fingerprint stays as it is.
    What the store has by now is newer, or another record: it stays.
    """
    with around.open_store() as connection:
        plans = plan_source(connection, config, around.clock(), is_full=False)
        streams = {plan.stream.name: plan.stream for plan in plans}
        records = list_understood(config, streams, read_quarantined(connection, config.name))
        stored = find_stored(connection, config.name, records)
    around = replace(around, limits=ONE_COMMIT)
    loader = start_loader(config, uuid4().hex[:12], around, plans, "replay")
    for record in records:
        table = record.stream.table
        if (table, read_key(table, record.flat.row)) not in stored:
            loader.batch.released.append((record.stream.name, record.fingerprint))
            load_step(loader, Step(record.stream, record.page, start_walk(Gap(EPOCH, EPOCH))))
    return _finish(loader, config, around)


def list_understood(
    config: SourceConfig, streams: Mapping[str, Stream], rows: Iterable[tuple[str, str, str]]
) -> list[Understood]:
    """The records that can be understood, in their order, given as `read_quarantined` does."""
    source = SOURCES[config.kind]
    understood = []
    for name, fingerprint, text in rows:
        if (stream := streams.get(name)) is None:
            continue
        raw = msgspec.Raw(text.encode())
        decoded = decode_records([raw], source.find_record_type(stream))
        for record in decoded.records:
            page = Page(decoded.records, [], None, decoded.extras)
            understood.append(Understood(stream, fingerprint, page, source.flatten(record)))
    return understood


def find_stored(
    connection: duckdb.DuckDBPyConnection, source: str, records: Iterable[Understood]
) -> set[tuple[Table, Key]]:
    """The keys of those records of which the store has a version."""
    pending: dict[Table, PendingRows] = {}
    for record in records:
        table = record.stream.table
        rows = pending.setdefault(table, PendingRows(table))
        rows.add(record.stream.name, record.flat, None)
    return {
        (table, key)
        for table, rows in pending.items()
        for key in read_stored(connection, source, rows)
    }


def read_quarantined(
    connection: duckdb.DuckDBPyConnection, source: str
) -> list[tuple[str, str, str]]:
    """Stream, fingerprint and JSON text of the quarantined records of a source, oldest first."""
    rows: list[tuple[str, str, str]] = connection.execute(
        "SELECT stream, fingerprint, record::VARCHAR FROM etl.quarantine WHERE source = ? "
        "ORDER BY quarantined_at, rowid",
        [source],
    ).fetchall()
    return rows


def _finish(loader: Loader, config: SourceConfig, around: Surroundings) -> SourceResult:
    """Commit, with a run row for each stream that got something."""
    loader.batch.runs = {
        name: replace(run, state="replayed", ended_at=around.clock(), exit_code=0)
        for name, run in loader.batch.runs.items()
        if run.pages
    }
    if loader.batch.runs:
        commit(loader)
    return SourceResult(config.name, tuple(loader.batch.runs.values()))
