"""Quarantined records tried again, without the API: this program may understand them by now."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import duckdb
import msgspec

from etl.coverage import start_walk
from etl.decode import decode_records
from etl.pending import PendingRows
from etl.records import EPOCH, Gap, Page, SourceConfig, Stream
from etl.redact import Redactor
from etl.sources import SOURCES
from etl.store.lookup import read_stored
from etl.sync.load import Loader, commit, load_step
from etl.sync.run import SourceResult, Surroundings, plan_source, start_loader
from etl.sync.walk import Step


def replay_quarantine(config: SourceConfig, around: Surroundings) -> SourceResult:
    """Store what is understood now and take it out of the quarantine, in one transaction.

    The records were redacted before they were set aside: nothing more has to go, and a fingerprint
    must not be taken of a fingerprint.
    """
    source = SOURCES[config.kind]
    with around.open_store() as connection:
        plans = plan_source(connection, config, around.clock(), is_full=False)
        rows = read_quarantined(connection, config.name)
    loader = start_loader(config, uuid4().hex[:12], around, plans, "replay")
    loader.redactor = Redactor(around.key, "full")
    loader.batch.known = {}
    streams = {plan.stream.name: plan.stream for plan in plans}
    for stream_name, fingerprint, record in rows:
        stream = streams.get(stream_name)
        page = None if stream is None else _read(source.find_record_type(stream), record)
        if stream is None or page is None or _is_stored(loader, stream, page):
            continue
        loader.batch.released.append((stream_name, fingerprint))
        load_step(loader, Step(stream, page, start_walk(Gap(EPOCH, EPOCH))))
    return _finish(loader, config, around)


def _read(record_type: type[Any], record: str) -> Page | None:
    """The record as a page of one; None if it is still not understood."""
    decoded = decode_records([msgspec.Raw(record.encode())], record_type)
    if decoded.broken:
        return None
    return Page(decoded.records, [], None, decoded.extras)


def _is_stored(loader: Loader, stream: Stream, page: Page) -> bool:
    """Whether the store has a record of that key by now: it is newer, or another one."""
    pending = PendingRows(stream.table)
    pending.add(stream.name, loader.source.flatten(page.records[0]), None)
    with loader.open_store() as connection:
        return bool(read_stored(connection, loader.config.name, pending))


def read_quarantined(
    connection: duckdb.DuckDBPyConnection, source: str
) -> list[tuple[str, str, str]]:
    """Stream, fingerprint and JSON text of the quarantined records of a source, oldest first."""
    rows: list[tuple[str, str, str]] = connection.execute(
        "SELECT stream, fingerprint, record::VARCHAR FROM etl.quarantine WHERE source = ? "
        "ORDER BY quarantined_at",
        [source],
    ).fetchall()
    return rows


def _finish(loader: Loader, config: SourceConfig, around: Surroundings) -> SourceResult:
    """Commit, with a run row for each stream that got something."""
    loader.runs = {
        name: replace(run, state="replayed", ended_at=around.clock(), exit_code=0)
        for name, run in loader.runs.items()
        if run.pages
    }
    if loader.runs:
        commit(loader)
    return SourceResult(config.name, tuple(loader.runs.values()))
