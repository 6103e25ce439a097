"""Figures and drawings -> one page of HTML.

Texts of the data are escaped by the template engine and masked like every other output. The page
runs no script, and its policy lets it load nothing.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from etl import __version__
from etl.redact import mask_line
from etl.report import charts
from etl.report.draw import draw_svg
from etl.report.figures import Figures, Named, Period, SourceDays
from etl.report.tiles import list_tiles
from etl.wording import (
    format_count,
    format_interval,
    format_share,
    spell_milliseconds,
)

FOLDER = Path(__file__).parent
TEXT_CHARS_MAX = 300
ID_CHARS_MAX = 32
WIDE_CELL_PX, NARROW_CELL_PX = 19.9, 12.6


@dataclass(frozen=True, slots=True)
class Drawing:
    """The same drawing for a wide page and for a phone; one of them is shown."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True, slots=True)
class SourceDrawings:
    """A source with its two charts; none where there would be nothing on it."""

    about: SourceDays
    rates: Drawing | None
    durations: Drawing | None


def render_page(figures: Figures, store_name: str) -> str:
    """The page as text. The same figures make the same page. Raises ConfigError."""
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))
    return (
        make_environment()
        .get_template("page.html")
        .render(
            figures=figures,
            period=figures.period,
            store_name=store_name,
            version=__version__,
            style=style,
            policy=Markup(make_policy(style)),
            title=f"Executions, {name_period(figures.period)}",
            period_name=name_period(figures.period),
            tiles=list_tiles(figures.now, figures.before),
            incomplete=list_incomplete(figures.sources.rows),
            sources=[draw_source(source) for source in figures.sources.rows],
            runs=draw_hours(charts.shade_runs(figures.hours), "Executions by hour and weekday"),
            failures=draw_hours(
                charts.shade_failures(figures.hours), "Failure rate by hour and weekday"
            ),
            rate_scale=find_rate_scale(figures.names.rows),
        )
    )


def make_policy(style: str) -> str:
    """What the browser lets the page do: use its own style sheet, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def make_environment() -> Environment:
    """The templates: everything is escaped, everything from the data is masked."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=mask_text,
    )
    environment.filters |= {
        "count": format_count,
        "share": format_share,
        "milliseconds": spell_milliseconds,
        "moment": format_moment,
        "lag": format_lag,
        "interval": format_interval,
        "short": shorten_id,
        "outcome": name_outcome,
    }
    return environment


def mask_text(value: Any) -> Any:
    """What a template prints: texts short and without what looks like a secret."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    masked = mask_line(value)
    return masked if len(masked) <= TEXT_CHARS_MAX else f"{masked[:TEXT_CHARS_MAX]}…"


def draw_source(source: SourceDays) -> SourceDrawings:
    """The charts of one source."""
    rates = durations = None
    if any(day.failures.finished for day in source.days):
        rates = _draw_twice(charts.describe_rates, source, "Failure rate by day")
    if any(day.p50_ms is not None for day in source.days):
        durations = _draw_twice(charts.describe_durations, source, "Durations by day")
    return SourceDrawings(source, rates, durations)


def _draw_twice(describe: Any, source: SourceDays, title: str) -> Drawing:
    wide, narrow = (
        Markup(draw_svg(describe(source.days, size), title))
        for size in (charts.WIDE, charts.NARROW)
    )
    return Drawing(wide, narrow)


def draw_hours(cells: Mapping[tuple[int, int], charts.Cell], title: str) -> Drawing:
    """A week of hours."""
    wide, narrow = (
        Markup(draw_svg(charts.describe_hours(cells, cell_px), title))
        for cell_px in (WIDE_CELL_PX, NARROW_CELL_PX)
    )
    return Drawing(wide, narrow)


def list_incomplete(sources: Sequence[SourceDays]) -> list[tuple[str, int]]:
    """How many days of each source are not all known, today not counted."""
    counts = [
        (source.source, sum(not day.is_complete for day in source.days[:-1])) for source in sources
    ]
    return [(name, count) for name, count in counts if count]


def find_rate_scale(names: Sequence[Named]) -> float:
    """The right end of the small intervals in the table of names."""
    firm = [row.failures.high or 0.0 for row in names if not row.failures.is_low_sample]
    return min(1.0, max(firm, default=1.0) * 1.05) or 1.0


def name_period(period: Period) -> str:
    """`29 October – 27 November 2026`."""
    first, last = period.first_day, period.last_day
    if first == last:
        return format_date(last)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} – {format_date(last)}"
    begin = f"{first.day} {first:%B}" + ("" if first.year == last.year else f" {first.year}")
    return f"{begin} – {format_date(last)}"


def format_date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def format_moment(time: datetime | None, period: Period) -> str:
    """A time to the minute; the year only where it is not that of the period's end."""
    if time is None:
        return "–"
    year = "" if time.year == period.last_day.year else f" {time.year}"
    return f"{time.day} {time:%b}{year}, {time:%H:%M}"


def format_lag(seconds: float | None) -> str:
    return "" if seconds is None else spell_milliseconds(round(max(0.0, seconds)) * 1e3)


def shorten_id(execution_id: str) -> str:
    """An id with its middle left out."""
    if len(execution_id) <= ID_CHARS_MAX:
        return execution_id
    half = ID_CHARS_MAX // 2
    return f"{execution_id[:half]}…{execution_id[-half:]}"


def name_outcome(outcome: str) -> str:
    return outcome.replace("_", " ")
