"""A pass over the configured sources: one after the other, and no error of one stops the others."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import uuid4

import duckdb
import httpx

from etl.budget import Budget, BudgetEnded
from etl.errors import EtlError, QuarantineExceeded, StoreError
from etl.http import Traffic, open_client
from etl.records import EPOCH, SourceConfig, Stream
from etl.redact import Redactor, mask_line
from etl.sources import SOURCES
from etl.store.connect import Opener
from etl.store.read import read_last_walked
from etl.store.write import Batch, Mode, RunRow, mark_interrupted
from etl.sync.commits import Submit, commit_on_thread
from etl.sync.load import BatchLimits, Loader, commit, commit_if_due, load_step
from etl.sync.plan import StreamPlan, plan_streams
from etl.sync.pump import Ended, Event, Job, run_threads
from etl.sync.walk import PageLimit, Step, Walker, walk_stream
from etl.wording import format_duration

QUARANTINE_SHARE_MAX = 0.01
QUARANTINE_LEAST = 10
STOP_GRACE_S = 1.0
OVERTIME_S = 10.0
"""How long a request may go on that has begun before the time was over."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside that a pass touches, so that tests can replace it.

    `on_step` is told of each page, by source: progress for whoever watches. `open_commits` is where
    commits go on while the next batch is made.
    """

    open_store: Opener
    key: bytes
    budget: Budget
    clock: Callable[[], datetime]
    transport: httpx.BaseTransport | None = None
    run_jobs: Callable[[Sequence[Job], int], Generator[Event]] = run_threads
    limits: BatchLimits = field(default_factory=BatchLimits)
    on_step: Callable[[str, Step], None] = lambda source, step: None
    open_commits: Callable[[], contextlib.AbstractContextManager[Submit]] = commit_on_thread


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of the history a pass is asked for."""

    max_pages: int | None = None
    is_full: bool = False


@dataclass(slots=True)
class SourceResult:
    """What became of one source: its run rows, what failed, and whether it was stopped early.

    `warnings` are lines on what is stored, but shows that something else may not be.
    """

    source: str
    runs: tuple[RunRow, ...] = ()
    errors: list[EtlError] = field(default_factory=list)
    is_stopped: bool = False
    warnings: list[str] = field(default_factory=list)


def sync_sources(
    configs: Sequence[SourceConfig], around: Surroundings, extent: Extent
) -> list[SourceResult]:
    """Sync each source. Raises StoreError: without a store there is nothing to go on with."""
    run_id = uuid4().hex[:12]
    pages = PageLimit(extent.max_pages)
    results: list[SourceResult] = []
    try:
        with around.open_store() as connection:
            mark_interrupted(connection, around.clock())
            configs = order_sources(connection, configs)
    except BudgetEnded:
        return _stop_all(configs)
    for number, config in enumerate(configs):
        if around.budget.stop.is_set():
            return results + _stop_all(configs[number:])
        try:
            results.append(sync_source(config, run_id, around, pages, extent.is_full))
        except StoreError:
            raise
        except BudgetEnded:
            results += _stop_all([config])
        except EtlError as error:
            results.append(SourceResult(config.name, errors=[error]))
    return results


def order_sources(
    connection: duckdb.DuckDBPyConnection, configs: Sequence[SourceConfig]
) -> Sequence[SourceConfig]:
    """Those first that were walked the longest ago: where the time is short, each has its turn."""
    walked = read_last_walked(connection)
    return sorted(configs, key=lambda config: walked.get(config.name, EPOCH))


def _stop_all(configs: Iterable[SourceConfig]) -> list[SourceResult]:
    return [SourceResult(config.name, is_stopped=True) for config in configs]


def sync_source(
    config: SourceConfig, run_id: str, around: Surroundings, pages: PageLimit, is_full: bool
) -> SourceResult:
    """Plan, walk and load one source; its streams' errors are in the result.

    Raises BudgetEnded where it was asked to stop before it began, and somebody held the store.
    """
    with around.open_store() as connection:
        plans = plan_source(connection, config, around.clock(), is_full)
    loader = start_loader(config, run_id, around, plans, "full" if is_full else "sync")
    result = SourceResult(config.name)
    try:
        with around.open_commits() as loader.submit:
            traffic = _walk_and_load(plans, loader, result, around, pages)
            _finish(loader, result, traffic, around.clock())
    except BudgetEnded:
        # Asked to stop while somebody else held the store: what was committed before is kept.
        result.is_stopped = True
        result.runs = tuple(loader.batch.written.values())
    result.warnings = list_warnings(plans, loader.batch.late_from, config.name, around.clock())
    return result


def _walk_and_load(
    plans: Sequence[StreamPlan],
    loader: Loader,
    result: SourceResult,
    around: Surroundings,
    pages: PageLimit,
) -> Mapping[str, list[Traffic]]:
    """Walk what was planned and load what comes; what it cost, by stream."""
    config = loader.config
    traffic: dict[str, list[Traffic]] = {plan.stream.name: [] for plan in plans}
    with open_client(
        config.name,
        config.base_url,
        config.token,
        around.budget,
        config.requests_per_second,
        around.transport,
    ) as client:
        walker = Walker(loader.source, client, config, around.budget, pages)
        jobs = [job for plan in plans for job in _make_jobs(walker, plan, traffic)]
        jobs.sort(key=lambda job: job.rank)
        unfinished = Counter(job.stream.name for job in jobs)
        with contextlib.closing(around.run_jobs(jobs, config.concurrency)) as events:
            for event in _until_stopped(events, around.budget):
                _handle(event, loader, result, around)
                if isinstance(event, Ended):
                    unfinished[event.stream.name] -= 1
    for plan in plans:
        if plan.stream.name not in unfinished:
            # A history that begins in the future has nothing to walk yet.
            _handle(Ended(plan.stream), loader, result, around)
        elif unfinished[plan.stream.name] > 0:
            _handle(Ended(plan.stream, BudgetEnded()), loader, result, around)
    return traffic


def plan_source(
    connection: duckdb.DuckDBPyConnection, config: SourceConfig, now: datetime, is_full: bool
) -> tuple[StreamPlan, ...]:
    """The plans of all streams of a source."""
    streams = SOURCES[config.kind].list_streams(config)
    return plan_streams(connection, config, streams, now, is_full)


def start_loader(
    config: SourceConfig,
    run_id: str,
    around: Surroundings,
    plans: Sequence[StreamPlan],
    mode: Mode,
) -> Loader:
    """A loader with an empty batch and a run row per stream.

    Only to a sync can a record come late: whatever reads the past again finds what it has missed.
    """
    now = around.clock()
    newest = {plan.stream.name: plan.newest_known for plan in plans if plan.newest_known}
    batch = Batch(
        config.name,
        config.kind,
        run_id,
        runs={p.stream.name: RunRow(run_id, config.name, p.stream.name, now, mode) for p in plans},
        lookbacks_s={plan.stream.name: plan.lookback.total_seconds() for plan in plans},
        known=newest if mode == "sync" else {},
        pruned={p.stream.name: p.state.pruned_before for p in plans if p.state.pruned_before},
    )
    return Loader(
        SOURCES[config.kind],
        config,
        Redactor(around.key, config.payloads, config.file_contents, config.detect_secrets),
        around.open_store,
        around.clock,
        around.limits,
        batch,
        rereads={plan.stream.name: plan.reread for plan in plans if plan.reread},
    )


def list_warnings(
    plans: Sequence[StreamPlan], late_from: Mapping[str, datetime], source: str, now: datetime
) -> list[str]:
    """A line for each stream in which a record came later than the lookback would have seen."""
    lines = []
    for plan in plans:
        late, known = late_from.get(plan.stream.name), plan.newest_known
        if late is None or known is None or late >= known.until - plan.lookback:
            continue
        lines.append(
            f"{source}/{plan.stream.name}: a record appeared {format_duration(now - late)} after "
            f"its time, which the lookback of {format_duration(plan.lookback)} would have missed; "
            "the next runs look further back, but run once with --full: others may be missing"
        )
    return lines


def _make_jobs(walker: Walker, plan: StreamPlan, traffic: Mapping[str, list[Traffic]]) -> list[Job]:
    """The gaps of a stream as jobs: in parallel where each gap is a list of its own.

    What each of them costs will stand in `traffic`, by stream.
    """
    stream = plan.stream
    chains = [(gap,) for gap in plan.gaps] if stream.is_windowed else [plan.gaps]
    jobs = []
    for rank, gaps in enumerate(chains):
        spent = Traffic()
        traffic[stream.name].append(spent)
        own = replace(walker, client=replace(walker.client, traffic=spent))
        open_ids = () if rank else plan.open_ids
        jobs.append(Job(stream, partial(walk_stream, own, stream, gaps, open_ids), rank))
    return jobs


def _until_stopped(events: Iterable[Event], budget: Budget) -> Iterator[Event]:
    """The events; once the time is over, those of a moment more: a request may take minutes."""
    over_s = None
    for event in events:
        yield event
        if event is None and budget.is_over():
            over_s = over_s or time.monotonic()
            grace_s = STOP_GRACE_S if budget.stop.is_set() else OVERTIME_S
            if time.monotonic() - over_s >= grace_s:
                return


def _handle(event: Event, loader: Loader, result: SourceResult, around: Surroundings) -> None:
    match event:
        case Step():
            load_step(loader, event)
            around.on_step(loader.config.name, event)
        case Ended(stream, None):
            _set_state(loader, stream, "done")
        case Ended(stream, BudgetEnded()):
            result.is_stopped = True
            _set_state(loader, stream, "stopped")
        case Ended(stream, EtlError() as error):
            if error not in result.errors:
                result.errors.append(error)
            _set_state(loader, stream, "failed", error)
        case _:
            commit_if_due(loader)


def _set_state(loader: Loader, stream: Stream, state: str, error: EtlError | None = None) -> None:
    """The state of a stream's run: the worst of its jobs."""
    run = loader.batch.runs[stream.name]
    if error is not None:
        run = replace(run, state=state, exit_code=error.exit_code, error=mask_line(str(error)))
    elif run.state == "running" or (state == "stopped" and run.state == "done"):
        run = replace(run, state=state, exit_code=0)
    loader.batch.runs[stream.name] = run


def end_run(run: RunRow, spent: Sequence[Traffic], now: datetime) -> RunRow:
    """The run at its end, with what it cost."""
    return replace(
        run,
        ended_at=now,
        requests=sum(one.requests for one in spent),
        retries=sum(one.retries for one in spent),
        slept_s=sum(one.slept_s for one in spent),
        received_bytes=sum(one.received_bytes for one in spent),
    )


def _finish(
    loader: Loader, result: SourceResult, traffic: Mapping[str, list[Traffic]], now: datetime
) -> None:
    """Commit what is left together with the end of the run."""
    for name, spent in traffic.items():
        loader.batch.runs[name] = end_run(loader.batch.runs[name], spent, now)
    commit(loader)
    _check_quarantine(loader, result)
    result.runs = tuple(loader.batch.runs.values())


def _check_quarantine(loader: Loader, result: SourceResult) -> None:
    """Add an error to the result, and to the runs, if too much could not be understood."""
    runs = loader.batch.runs
    quarantined = sum(run.rows_quarantined for run in runs.values())
    stored = sum(r.rows_new + r.rows_changed + r.rows_unchanged for r in runs.values())
    if quarantined <= max(QUARANTINE_LEAST, QUARANTINE_SHARE_MAX * (quarantined + stored)):
        return
    error = QuarantineExceeded(
        f"{loader.config.name}: {quarantined} of {quarantined + stored} records could not "
        "be understood; the others are stored, see: etl quarantine"
    )
    result.errors.append(error)
    for name, run in runs.items():
        if run.rows_quarantined and not run.exit_code:
            runs[name] = replace(run, exit_code=error.exit_code, error=mask_line(str(error)))
    commit(loader)
