"""A sync from beginning to end: lock, store, signals, progress, and what became of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from etl.budget import Budget, BudgetEnded
from etl.cli.lock import hold_lock
from etl.cli.opening import prepare_store
from etl.cli.progress import ClockWatch, OnStep, show_progress
from etl.cli.shell import Shell, describe_error, fail, say
from etl.cli.stopping import stop_on_signals
from etl.cli.telling import Listeners, find_listeners, tell_end, tell_start
from etl.config import Config, StoreConfig, resolve_tokens
from etl.errors import EtlError
from etl.records import SourceConfig
from etl.sync.load import BatchLimits
from etl.sync.run import Extent, SourceResult, Surroundings, sync_sources
from etl.sync.walk import Step
from etl.wording import count_things


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked of a sync. `totals`: the records to expect by source, where known."""

    max_seconds: float | None = None
    max_pages: int | None = None
    is_full: bool = False
    is_json: bool = False
    metrics_file: Path | None = None
    totals: Mapping[str, int] = field(default_factory=dict)


def run_sync(shell: Shell, config: Config, sources: Sequence[SourceConfig], wish: Wish) -> int:
    """Sync these sources, tell whoever wants to know, and return the exit code."""
    listeners = find_listeners(shell, config, wish.metrics_file)
    exit_code = 1
    try:
        exit_code = sync_and_report(shell, config, sources, wish, listeners)
    except EtlError as error:
        exit_code = error.exit_code
        raise
    finally:
        tell_end(listeners, exit_code)
    return exit_code


def sync_and_report(
    shell: Shell,
    config: Config,
    sources: Sequence[SourceConfig],
    wish: Wish,
    listeners: Listeners,
) -> int:
    """Sync these sources, publish, say what became of it, and return the exit code."""
    ready = resolve_tokens(sources, shell.environ)
    budget = shell.start_budget(wish.max_seconds)
    watch = ClockWatch(shell.clock)
    with (
        stop_on_signals(budget) as caught,
        hold_lock(config.store.path, shell.clock()),
        show_progress(shell, wish.totals) as show,
    ):
        tell_start(listeners)

        def on_step(source: str, step: Step) -> None:
            watch(source, step)
            show(source, step)

        results = sync_store(shell, config, ready, wish, budget, on_step)
        error = publish_store(config.store, budget)
    for source, warning in watch.list_warnings():
        say(shell, "warning", warning, source=source)
    if error is not None:
        fail(shell, error)
    other_codes = (caught.exit_code, 0 if error is None else error.exit_code)
    return report(shell, results, other_codes, wish.is_json)


def sync_store(
    shell: Shell,
    config: Config,
    sources: Sequence[SourceConfig],
    wish: Wish,
    budget: Budget,
    on_step: OnStep,
) -> list[SourceResult]:
    """Bring the store up to date; nothing where it was locked when the run was asked to stop."""
    try:
        open_store, key = prepare_store(config.store, budget)
    except BudgetEnded:
        return [SourceResult(source.name, is_stopped=True) for source in sources]
    around = Surroundings(
        open_store,
        key,
        budget,
        shell.clock,
        shell.transport,
        limits=BatchLimits(config.sync.batch_rows, config.sync.batch_seconds),
        on_step=on_step,
    )
    return sync_sources(sources, around, Extent(wish.max_pages, wish.is_full))


def publish_store(store: StoreConfig, budget: Budget) -> EtlError | None:
    """Bring the copy that [store] names up to date, unless asked to stop; why that failed."""
    if store.publish is None or budget.stop.is_set():
        return None
    from etl.publish import publish

    try:
        publish(store.path, store.publish, budget, is_alone=True)
    except BudgetEnded:
        return None
    except EtlError as error:
        return error
    return None


def report(
    shell: Shell, results: Sequence[SourceResult], other_codes: Sequence[int], is_json: bool
) -> int:
    """Say what became of each source; the exit code: the smallest that is not 0."""
    for result in results:
        for error in unique_errors(result.errors):
            fail(shell, error, source=result.source)
        for warning in result.warnings:
            say(shell, "warning", warning, source=result.source)
        quarantined = sum(run.rows_quarantined for run in result.runs)
        if quarantined and not any(error.exit_code == 7 for error in result.errors):
            say(
                shell,
                "warning",
                f"{result.source}: {count_things(quarantined, 'record')} not understood; see: "
                "etl quarantine",
                source=result.source,
            )
        say(shell, "info", describe_result(result), source=result.source)
    codes = [error.exit_code for result in results for error in result.errors]
    exit_code = min([code for code in (*codes, *other_codes) if code], default=0)
    if is_json:
        click.echo(json.dumps(build_summary(results, exit_code), indent=2))
    return exit_code


def unique_errors(errors: Sequence[EtlError]) -> list[EtlError]:
    """Streams of one source fail with the same words: once is enough."""
    return list({str(error): error for error in errors}.values())


def describe_result(result: SourceResult) -> str:
    """One line about one source."""
    new, changed, unchanged, pages = (
        sum(getattr(run, name) for run in result.runs)
        for name in ("rows_new", "rows_changed", "rows_unchanged", "pages")
    )
    line = f"{result.source}: {new} new, {changed} changed, {unchanged} unchanged; "
    line += count_things(pages, "page")
    return f"{line}; stopped in order, the next run goes on" if result.is_stopped else line


def build_summary(results: Sequence[SourceResult], exit_code: int) -> dict[str, Any]:
    """What `--json` prints: a run row per stream, the errors per source."""
    return {
        "exit_code": exit_code,
        "sources": [
            {
                "source": result.source,
                "exit_code": min((e.exit_code for e in result.errors), default=0),
                "is_stopped": result.is_stopped,
                "errors": [describe_error(error) for error in unique_errors(result.errors)],
                "warnings": result.warnings,
                "streams": [_to_json(asdict(run)) for run in result.runs],
            }
            for result in results
        ],
    }


def _to_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }
