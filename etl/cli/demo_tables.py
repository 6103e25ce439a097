"""What the demo shows of its store: failure rates, durations, and what to try next."""

import shutil
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.fitting import TEXT_LEAST
from etl.cli.render import draw_bar, draw_sparkline, paint, print_table
from etl.config import load_store
from etl.wording import format_count, format_interval, format_milliseconds, format_share

if TYPE_CHECKING:
    import duckdb

DAYS_MIN, DAYS_MAX = 20, 90
BAR_WIDTH, NARROW_BAR_WIDTH, NARROW = 12, 8, 100
NAMES_SHOWN = 4
NAME_CHARS_MAX = 26
OTHER_WIDTH = 42
SAMPLE_MIN = 30
NEXT = (
    ("demo", "again: only what is new since is fetched"),
    ("--config {file} views", "what else can be asked"),
    ('--config {file} query "FROM top_errors"', "that, or any other SQL"),
    ("--config {file} report report.html", "a page to look at"),
    ("--config {file} status", "what is known, and what is missing"),
    ("init", "your own platforms"),
)


def show_findings(file: Path) -> None:
    """Print the tables of the demo's store."""
    from etl.store.connect import open_reader

    with open_reader(load_store(file).path) as connection:
        show_sources(connection)
        show_failures(connection)
        show_durations(connection)
    show_next(file)


def show_next(file: Path) -> None:
    """What to try next, as it can be typed."""
    program = name_program()
    commands = [(f"  {program} {words.format(file=file)}", purpose) for words, purpose in NEXT]
    width = max(len(command) for command, _ in commands)
    is_wide = width + max(len(purpose) for _, purpose in commands) + 2 <= measure_terminal()
    click.echo("Next:")
    for command, purpose in commands:
        click.echo(f"{command:<{width}}  {purpose}" if is_wide else f"{command}\n      {purpose}")


def name_program() -> str:
    """How this program was called, if it is not to be found by its name."""
    if shutil.which("etl"):
        return "etl"
    called = sys.argv[0]
    return called if Path(called).name == "etl" else "python -m etl"


def show_sources(connection: "duckdb.DuckDBPyConnection") -> None:
    """One row per source, with the failure rate of each day as a curve."""
    totals = connection.execute(
        """
        SELECT source, sum(finished)::BIGINT, sum(failed)::BIGINT, sum(failed) / sum(finished)
        FROM failure_rate_daily GROUP BY source ORDER BY source
        """
    ).fetchall()
    shown = count_days()
    days = connection.execute(
        f"""
        SELECT source, day::VARCHAR, failure_rate FROM failure_rate_daily
        WHERE day > (SELECT max(day) FROM failure_rate_daily) - {shown}
        """
    ).fetchall()
    rows = [
        (
            source,
            format_count(finished),
            format_count(failed),
            format_share(rate),
            paint(draw_days([d for d in days if d[0] == source], shown), "bad"),
        )
        for source, finished, failed, rate in totals
    ]
    curve = f"failure rate of {shown} days"
    print_titled("What failed", ("source", "finished", "failed", "rate", curve), rows, (1, 2, 3))


def count_days() -> int:
    """How many days fit beside the other columns: a character each."""
    return max(DAYS_MIN, min(DAYS_MAX, measure_terminal() - OTHER_WIDTH))


def measure_terminal() -> int:
    """How wide the terminal is; without one there is room."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else DAYS_MAX + OTHER_WIDTH


def draw_days(days: Sequence[tuple[str, str, float | None]], count: int) -> str:
    """A character per day up to the last one; a gap for days without executions."""
    rates = {day: rate for _, day, rate in days}
    last = date.fromisoformat(max(rates))
    shown = [str(last - timedelta(days=ago)) for ago in reversed(range(count))]
    return draw_sparkline([rates.get(day) for day in shown])


def show_failures(connection: "duckdb.DuckDBPyConnection") -> None:
    """The names that fail most, by source."""
    rows = connection.execute(
        f"""
        SELECT source, name, finished, failed, failure_rate, failure_rate_low, failure_rate_high
        FROM failure_rate_by_name
        WHERE finished >= {SAMPLE_MIN} AND failed > 0
        QUALIFY row_number() OVER (PARTITION BY source ORDER BY failure_rate_low DESC)
            <= {NAMES_SHOWN}
        ORDER BY source, failure_rate_low DESC
        """
    ).fetchall()
    highest = max((row[4] for row in rows), default=1.0)
    bar_width = BAR_WIDTH if measure_terminal() >= NARROW else NARROW_BAR_WIDTH
    print_titled(
        "What fails most",
        ("source", "name", "finished", "failed", "rate", "95 % interval", ""),
        [
            (
                source,
                shorten(name),
                format_count(finished),
                format_count(failed),
                format_share(rate),
                format_interval(low, high),
                paint(draw_bar(rate / highest, bar_width), "bad"),
            )
            for source, name, finished, failed, rate, low, high in rows
        ],
        (2, 3, 4),
    )


def show_durations(connection: "duckdb.DuckDBPyConnection") -> None:
    """The names that take longest in all, by source."""
    rows = connection.execute(
        f"""
        SELECT source, name, executions, p50_ms, p95_ms, p99_ms, max_ms
        FROM duration_by_name
        WHERE executions >= {SAMPLE_MIN}
        QUALIFY row_number() OVER (PARTITION BY source ORDER BY avg_ms * executions DESC)
            <= {NAMES_SHOWN}
        ORDER BY source, avg_ms * executions DESC
        """
    ).fetchall()
    print_titled(
        "How long successes take",
        ("source", "name", "successes", "median", "95 %", "99 %", "longest"),
        [
            (
                source,
                shorten(name),
                format_count(executions),
                *(format_milliseconds(time_ms) for time_ms in times_ms),
            )
            for source, name, executions, *times_ms in rows
        ],
        (2, 3, 4, 5, 6),
    )


def shorten(name: str) -> str:
    """A name with its middle left out: long ids of one kind differ at their ends.

    On a narrow terminal to what a table leaves of a text at least, or it would cut the end.
    """
    chars = NAME_CHARS_MAX if measure_terminal() >= NARROW else TEXT_LEAST
    if len(name) <= chars:
        return name
    half = chars // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def print_titled(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int]
) -> None:
    """A table with a title and an empty line behind it."""
    print_table(columns, rows, [place in right for place in range(len(columns))], title=title)
    click.echo()
