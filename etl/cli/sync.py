"""`etl sync`: the job."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import click

from etl.cli.lock import hold_lock
from etl.cli.options import read_since
from etl.cli.progress import ClockWatch, show_progress
from etl.cli.shell import Shell, fail, is_talkative, pass_shell, say, shared_options
from etl.cli.stopping import stop_on_signals
from etl.config import Config, load_config, resolve_token, select_sources
from etl.errors import EtlError
from etl.records import SourceConfig


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--max-seconds", type=click.FloatRange(min=0), help="Stop in order after this time.")
@click.option("--max-pages", type=click.IntRange(min=1), help="Stop in order after these pages.")
@click.option(
    "--since",
    metavar="TIME",
    callback=read_since,
    help="How far back to go, instead of the configured `since`: a time, a date (UTC), or a "
    'duration ago such as "30d".',
)
@click.option("--full", "is_full", is_flag=True, help="Read everything again, known or not.")
@click.option("--plan", "is_plan", is_flag=True, help="Show what would be walked; write nothing.")
@click.option("--json", "is_json", is_flag=True, help="The result as JSON on stdout.")
@shared_options
@pass_shell
def command(
    shell: Shell,
    sources: tuple[str, ...],
    max_seconds: float | None,
    max_pages: int | None,
    since: datetime | None,
    is_full: bool,
    is_plan: bool,
    is_json: bool,
) -> int:
    """Bring the store up to date: newest first, then what is missing behind.

    It ends in order when its time or pages are used up, or when it is asked to stop; the next run
    goes on where this one ended. Without SOURCE: all that are configured.
    """
    config = load_config(shell.config_file)
    chosen = select_sources(config, sources)
    if since is not None:
        chosen = tuple(replace(source, since=since) for source in chosen)
    if is_plan:
        from etl.cli.plan import show_plan

        return show_plan(shell, config, chosen, is_full, is_json)
    if is_talkative(shell):
        for warning in config.warnings:
            say(shell, "warning", warning)
    return run_sync(shell, config, chosen, Wish(max_seconds, max_pages, is_full, is_json))


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked of a sync. `totals`: the records to expect by source, where known."""

    max_seconds: float | None = None
    max_pages: int | None = None
    is_full: bool = False
    is_json: bool = False
    totals: Mapping[str, int] = field(default_factory=dict)


def run_sync(shell: Shell, config: Config, sources: Sequence[SourceConfig], wish: Wish) -> int:
    """Sync these sources, say what became of them, and return the exit code."""
    from etl.cli.opening import prepare_store
    from etl.sync.load import BatchLimits
    from etl.sync.run import Extent, Surroundings, sync_sources

    ready = [resolve_token(source, shell.environ) for source in sources]
    budget = shell.start_budget(wish.max_seconds)
    watch = ClockWatch(shell.clock)
    with (
        stop_on_signals(budget) as caught,
        hold_lock(config.store.path, shell.clock()),
        show_progress(shell, wish.totals) as show,
    ):
        open_store, key = prepare_store(config.store, budget)

        def on_step(source: str, step: Any) -> None:
            watch(source, step)
            show(source, step)

        around = Surroundings(
            open_store,
            key,
            budget,
            shell.clock,
            shell.transport,
            limits=BatchLimits(config.sync.batch_rows, config.sync.batch_seconds),
            on_step=on_step,
        )
        results = sync_sources(ready, around, Extent(wish.max_pages, wish.is_full))
    for source, warning in watch.list_warnings():
        say(shell, "warning", warning, source=source)
    return report(shell, results, caught.exit_code, wish.is_json)


def report(shell: Shell, results: Sequence[Any], signal_code: int, is_json: bool) -> int:
    """Say what became of each source; the exit code: the smallest that is not 0."""
    for result in results:
        for error in unique_errors(result.errors):
            fail(shell, error, source=result.source)
        quarantined = sum(run.rows_quarantined for run in result.runs)
        if quarantined and not any(error.exit_code == 7 for error in result.errors):
            say(
                shell,
                "warning",
                f"{result.source}: {quarantined} records could not be understood; see: "
                'etl query "FROM etl.quarantine"',
                source=result.source,
            )
        say(shell, "info", describe_result(result), source=result.source)
    codes = [error.exit_code for result in results for error in result.errors]
    exit_code = min([code for code in (*codes, signal_code) if code], default=0)
    if is_json:
        click.echo(json.dumps(build_summary(results, exit_code), indent=2))
    return exit_code


def unique_errors(errors: Sequence[EtlError]) -> list[EtlError]:
    """Streams of one source fail with the same words: once is enough."""
    return list({str(error): error for error in errors}.values())


def describe_result(result: Any) -> str:
    """One line about one source."""
    new, changed, unchanged, pages = (
        sum(getattr(run, name) for run in result.runs)
        for name in ("rows_new", "rows_changed", "rows_unchanged", "pages")
    )
    line = f"{result.source}: {new} new, {changed} changed, {unchanged} unchanged; {pages} pages"
    return f"{line}; stopped in order, the next run goes on" if result.is_stopped else line


def build_summary(results: Sequence[Any], exit_code: int) -> dict[str, Any]:
    """What `--json` prints: a run row per stream, the errors per source."""
    return {
        "exit_code": exit_code,
        "sources": [
            {
                "source": result.source,
                "exit_code": min((e.exit_code for e in result.errors), default=0),
                "is_stopped": result.is_stopped,
                "errors": [str(error) for error in unique_errors(result.errors)],
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
