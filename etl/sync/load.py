"""Pages become redacted rows, rows become batches, batches become commits."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime

from etl.coverage import Interval, forget
from etl.pending import PendingRows
from etl.records import SourceConfig
from etl.redact import Redactor, make_fingerprint, redact_broken, redact_page
from etl.sources import Source
from etl.store.connect import Opener
from etl.store.write import (
    Batch,
    QuarantinedRecord,
    Walked,
    commit_batch,
    count_rows,
    stage_batch,
)
from etl.sync.commits import Submit, submit_inline
from etl.sync.walk import Step


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is committed: by its rows, its age, or its size, whichever comes first.

    `size_bytes` is what its pages were when they came; in memory they take several times as much.
    """

    rows: int = 5_000
    seconds: float = 1.0
    size_bytes: int = 32 * 1024 * 1024


ONE_COMMIT = BatchLimits(rows=1_000_000, seconds=3_600.0)
"""For the few records that are asked for by hand: all of them or none."""


@dataclass(slots=True)
class Loader:
    """One source on its way into the store: the batch at hand, and what it is made with.

    `rereads` are what each stream has still to take from its ledger, see StreamPlan. `outcome` is
    that of the one commit that may go on while the next batch is made.
    """

    source: Source
    config: SourceConfig
    redactor: Redactor
    open_store: Opener
    clock: Callable[[], datetime]
    limits: BatchLimits
    batch: Batch
    began_s: float | None = None
    size_bytes: int = 0
    rereads: dict[str, Interval] = field(default_factory=dict)
    submit: Submit = submit_inline
    outcome: Future[None] | None = None


def load_step(loader: Loader, step: Step) -> None:
    """Add one page to the batch, and commit the batch if it is due."""
    if loader.began_s is None:
        loader.began_s = time.monotonic()
    loader.size_bytes += step.size_bytes
    redactions = _add_records(loader, step)
    _add_broken(loader, step)
    if step.gone is not None:
        loader.batch.gone.append((step.stream.table, step.gone))
    _forget_reread(loader, step)
    loader.batch.walked.append(Walked(step.stream.name, step.progress, step.is_reset))
    run = loader.batch.runs[step.stream.name]
    loader.batch.runs[step.stream.name] = replace(
        run,
        pages=run.pages + 1,
        redactions=run.redactions + redactions,
        rows_quarantined=run.rows_quarantined + len(step.page.broken),
    )
    commit_if_due(loader)


def _forget_reread(loader: Loader, step: Step) -> None:
    """Take what is to be read again from the ledger, before the first claim at or above it.

    Its walk may be in pieces. If it were stopped between them, the next pass would look back from
    the new top only, and miss what came late in the pieces that were left.
    """
    stream, covered = step.stream.name, step.progress.covered
    reread = loader.rereads.get(stream)
    if reread is not None and covered is not None and covered.until > reread.since:
        del loader.rereads[stream]
        loader.batch.walked.append(Walked(stream, forget(reread)))


def _add_records(loader: Loader, step: Step) -> int:
    """Add the rows of a page without their secrets; how many values were replaced."""
    table, stream = step.stream.table, step.stream.name
    pending = loader.batch.pending.get(table.name)
    if pending is None:
        pending = loader.batch.pending[table.name] = PendingRows(table)
    flats = [loader.source.flatten(record) for record in step.page.records]
    extras = {index: extra.decode() for index, extra in step.page.extras.items()}
    safe = redact_page(loader.redactor, table, flats, extras)
    pending.add_page(stream, safe.flats, safe.extras)
    return safe.replaced


def _add_broken(loader: Loader, step: Step) -> None:
    for broken in step.page.broken:
        safe = redact_broken(loader.redactor, broken.raw)
        loader.batch.quarantined.append(
            QuarantinedRecord(
                step.stream.name,
                make_fingerprint(loader.redactor.key, broken.raw.decode("utf-8", "replace")),
                safe,
                broken.path,
                broken.error,
                step.page.next or "last",
            )
        )


def commit_if_due(loader: Loader) -> None:
    """Begin to commit the batch when it is large or old enough. Raises what the one before met."""
    if loader.outcome is not None and loader.outcome.done():
        settle(loader)
    if loader.began_s is None:
        return
    limits = loader.limits
    is_old = time.monotonic() - loader.began_s >= limits.seconds
    is_large = loader.size_bytes >= limits.size_bytes
    if is_old or is_large or count_rows(loader.batch) >= limits.rows:
        begin_commit(loader)


def begin_commit(loader: Loader) -> None:
    """Write the batch at hand, let the commit go on, and begin a new batch.

    One at a time and in turn: nothing is written before the commit before has succeeded.
    """
    settle(loader)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(loader.open_store())
        runs = stage_batch(connection, loader.batch, loader.clock())
        opened = stack.pop_all()

    def end() -> None:
        with opened:
            commit_batch(connection)

    loader.outcome = loader.submit(end)
    loader.batch = replace(
        loader.batch,
        pending={},
        walked=[],
        gone=[],
        quarantined=[],
        released=[],
        runs=runs,
        written=dict(runs),
    )
    loader.began_s = None
    loader.size_bytes = 0
    if loader.outcome.done():
        settle(loader)


def settle(loader: Loader) -> None:
    """Wait for the commit that goes on, if there is one. Raises what it met."""
    outcome, loader.outcome = loader.outcome, None
    if outcome is not None:
        outcome.result()


def commit(loader: Loader) -> None:
    """Write and commit the batch at hand."""
    begin_commit(loader)
    settle(loader)
