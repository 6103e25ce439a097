"""Figures -> what Vega-Lite is to draw. Colours are variables of the style sheet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from etl.report.figures import Day, Hour, Rate
from etl.wording import format_count, format_interval, format_share, spell_milliseconds

Spec = Mapping[str, Any]

POINTS_MAX = 62
"""Above so many days a mark for each of them is only a thicker line."""
FIRM_LEAST = 10
HEAT_STEPS = 6
SMALL = 0.2
"""How much of its square an hour fills of which little is known."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SECONDS_MS, MINUTES_MS, HOURS_MS, DAYS_MS = 1e3, 60e3, 3600e3, 86400e3
UNITS = ((DAYS_MS, "d"), (HOURS_MS, "h"), (MINUTES_MS, "min"), (SECONDS_MS, "s"), (1.0, "ms"))
LOG_SPAN = 30.0
"""The longest over the shortest duration from which on a chart of them is logarithmic."""
LOG_TICKS_MS = (
    *(1.0, 10.0, 100.0),
    *(n * SECONDS_MS for n in (1, 10)),
    *(n * MINUTES_MS for n in (1, 10)),
    *(n * HOURS_MS for n in (1, 10)),
    *(n * DAYS_MS for n in (4, 40)),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large the plot is, its labels not counted, and how many dates stand below it."""

    width: int
    height: int
    dates: int


WIDE = Size(478, 150, 6)
NARROW = Size(302, 140, 4)


def describe_rates(days: Sequence[Day], size: Size) -> Spec:
    """The failure rate of each day with its interval."""
    top = find_rate_top(days)
    digits = ".0f" if top >= 0.05 else ".1f"
    rows = [_make_rate_row(day, top) for day in days]
    y_axis = {"labelExpr": f"format(100 * datum.value, '{digits}') + '\u202f%'", "tickCount": 4}
    scale = {"domain": [0, top]}
    y = {"type": "quantitative", "axis": y_axis, "scale": scale}
    return _lay_out(
        rows,
        size,
        [
            {
                "mark": {"type": "area", "color": "var(--fail-band)", "interpolate": "linear"},
                "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}},
            },
            *_draw_line(rows, "rate", "var(--fail)", y),
            {
                "mark": {"type": "point", "shape": "triangle-up", "size": 40, "opacity": 1}
                | {"fill": "var(--fail)", "stroke": None},
                "transform": [{"filter": "isValid(datum.above)"}],
                "encoding": {"y": {"field": "above", **y}},
            },
        ],
    )


def find_rate_top(days: Iterable[Day]) -> float:
    """The upper end of the axis: above each rate and interval of which enough finished.

    The interval of a day on which little finished reaches up to 1 and would flatten the rest.
    """
    rates = [day.failures for day in days if day.failures.rate is not None]
    firm = [rate for rate in rates if rate.finished >= FIRM_LEAST] or rates
    highest = max((rate.rate or 0.0 for rate in firm), default=0.0)
    interval = max((rate.high or 0.0 for rate in firm), default=0.0)
    return min(1.0, max(highest * 1.1, min(interval, highest * 2), 0.01))


def _make_rate_row(day: Day, top: float) -> dict[str, Any]:
    rate = day.failures
    return {
        **_make_row(day),
        "rate": None if rate.rate is None or rate.rate > top else rate.rate,
        "above": top if rate.rate is not None and rate.rate > top else None,
        "low": None if rate.low is None else min(rate.low, top),
        "high": None if rate.high is None else min(rate.high, top),
        "says": f"{_name_day(day)}: {describe_rate(rate)}",
    }


def describe_rate(rate: Rate) -> str:
    """`7.1 % failed (95 %: 6.4 – 7.8 %), 372 of 5 012`."""
    if rate.rate is None or rate.low is None or rate.high is None:
        return "nothing finished"
    interval = format_interval(rate.low, rate.high)
    counts = f"{format_count(rate.failed)} of {format_count(rate.finished)}"
    return f"{format_share(rate.rate)} failed (95 % interval {interval}), {counts}"


def describe_durations(days: Sequence[Day], size: Size) -> Spec:
    """Median and 95th percentile of each day."""
    rows = [
        {**_make_row(day), "says": _say_durations(day)}
        # A logarithm has no place for 0.
        | {name: ms and max(ms, 1.0) for name, ms in (("p50", day.p50_ms), ("p95", day.p95_ms))}
        for day in days
    ]
    values = [ms for day in days for ms in (day.p50_ms, day.p95_ms) if ms is not None]
    y = {"type": "quantitative", **describe_duration_axis(values)}
    return _lay_out(
        rows,
        size,
        [*_draw_line(rows, "p95", "var(--p95)", y), *_draw_line(rows, "p50", "var(--p50)", y)],
    )


def describe_duration_axis(values_ms: Sequence[float]) -> dict[str, Any]:
    """An axis from 0 in whole steps of a unit; in steps of ten where durations lie far apart."""
    longest = max(values_ms, default=1.0) or 1.0
    shortest = max(min(values_ms, default=1.0), 1.0)
    if longest / shortest >= LOG_SPAN:
        below = max((tick for tick in LOG_TICKS_MS if tick <= shortest), default=1.0)
        above = min((tick for tick in LOG_TICKS_MS if tick >= longest), default=longest)
        ticks = [tick for tick in LOG_TICKS_MS if below <= tick <= above]
        scale: dict[str, Any] = {"type": "log", "domain": [below, above]}
        return {"scale": scale, "axis": _label_ticks(ticks)}
    ticks = list_duration_ticks(longest)
    return {
        "scale": {"type": "linear", "domain": [0, max(longest * 1.05, ticks[-1])]},
        "axis": _label_ticks(ticks),
    }


def list_duration_ticks(longest_ms: float) -> list[float]:
    """At most six round durations from 0 on, in the unit in which the longest is read."""
    unit_ms = next((size for size, _ in UNITS if longest_ms >= 2 * size), 1.0)
    steps = (0.5, 1, 2, 5, 10, 15, 20, 30, 50, 100, 200, 500, 1000)
    step_ms = next((n * unit_ms for n in steps if longest_ms / (n * unit_ms) <= 5), longest_ms)
    return [number * step_ms for number in range(int(longest_ms / step_ms) + 1)]


def _label_ticks(ticks: Sequence[float]) -> dict[str, Any]:
    labels = " : ".join(f"datum.value == {tick!r} ? '{name_duration(tick)}'" for tick in ticks)
    return {"values": list(ticks), "labelExpr": f"{labels} : ''"}


def name_duration(duration_ms: float) -> str:
    """A round duration: `0`, `500 ms`, `10 min`."""
    if not duration_ms:
        return "0"
    size, unit = next((unit for unit in UNITS if duration_ms >= unit[0]), UNITS[-1])
    return f"{duration_ms / size:.4g} {unit}"


def _say_durations(day: Day) -> str:
    if day.p50_ms is None:
        return f"{_name_day(day)}: fewer than 5 successes"
    p50, p95 = spell_milliseconds(day.p50_ms), spell_milliseconds(day.p95_ms)
    return f"{_name_day(day)}: median {p50}, 95 % within {p95}"


def describe_hours(cells: Mapping[tuple[int, int], "Cell"], cell_px: float) -> Spec:
    """A square for each hour of the week, in one of a few shades."""
    rows = [
        {"day": WEEKDAYS[weekday - 1], "hour": hour, "step": str(cell.step), "says": cell.says}
        | {"size": (cell_px - 2) ** 2 * (SMALL if cell.is_small else 1.0)}
        for (weekday, hour), cell in cells.items()
    ]
    steps = [str(step) for step in range(HEAT_STEPS)]
    return {
        "width": round(cell_px * 24),
        "height": round(cell_px * 7),
        "data": {"values": rows},
        "mark": {"type": "square", "opacity": 1, "strokeWidth": 0, "aria": True},
        "encoding": {
            "x": {
                "field": "hour",
                "type": "ordinal",
                "scale": {"domain": list(range(24))},
                "axis": {"title": None, "values": [0, 6, 12, 18], "labelAngle": 0, "grid": False},
            },
            "y": {
                "field": "day",
                "type": "ordinal",
                "scale": {"domain": list(WEEKDAYS)},
                "axis": {"title": None, "grid": False},
            },
            "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
            "color": {
                "field": "step",
                "type": "ordinal",
                "scale": {"domain": steps, "range": [f"var(--heat-{step})" for step in steps]},
                "legend": None,
            },
            "description": {"field": "says"},
        },
        "config": CONFIG,
    }


@dataclass(frozen=True, slots=True)
class Cell:
    """One hour of the week: its shade, whether it is drawn small, what it says."""

    step: int
    is_small: bool
    says: str


def shade_runs(hours: Iterable[Hour]) -> dict[tuple[int, int], Cell]:
    """How many executions started in each hour of the week."""
    found = {(hour.weekday, hour.hour): hour.executions for hour in hours}
    highest = max(found.values(), default=0)
    return {
        place: Cell(
            find_step(found.get(place, 0), highest),
            False,
            f"{_name_hour(*place)}: {format_count(found.get(place, 0))} executions",
        )
        for place in _list_places()
    }


def shade_failures(hours: Iterable[Hour]) -> dict[tuple[int, int], Cell]:
    """What share failed in each hour of the week; small where fewer than 30 finished."""
    found = {(hour.weekday, hour.hour): hour.failures for hour in hours}
    firm = [rate.rate or 0.0 for rate in found.values() if not rate.is_low_sample]
    highest = max(firm or [rate.rate or 0.0 for rate in found.values()], default=0.0)
    cells = {}
    for place in _list_places():
        rate = found.get(place, Rate())
        step = find_step(min(rate.rate or 0.0, highest), highest)
        says = f"{_name_hour(*place)}: {describe_rate(rate)}"
        cells[place] = Cell(step, rate.is_low_sample, says)
    return cells


def find_step(value: float, highest: float) -> int:
    """0 for nothing, else 1 to the number of shades."""
    if not value or not highest:
        return 0
    return min(HEAT_STEPS - 1, 1 + int(value / highest * (HEAT_STEPS - 1)))


def _list_places() -> list[tuple[int, int]]:
    return [(weekday, hour) for weekday in range(1, 8) for hour in range(24)]


def _name_hour(weekday: int, hour: int) -> str:
    return f"{WEEKDAYS[weekday - 1]} {hour:02}:00"


def _name_day(day: Day) -> str:
    note = "" if day.is_complete else " (not all known)"
    return f"{day.day:%a %d %b}{note}"


def _make_row(day: Day) -> dict[str, Any]:
    return {
        "begin": f"{day.day}T00:00:00Z",
        "middle": f"{day.day}T12:00:00Z",
        "end": f"{day.day + timedelta(days=1)}T00:00:00Z",
        "complete": day.is_complete,
    }


def _draw_line(
    rows: Sequence[Mapping[str, Any]], name: str, colour: str, y: Mapping[str, Any]
) -> list[Spec]:
    """A line with a gap where nothing is known; hollow points for days that are not complete."""
    encoded = {"y": {"field": name, **y}}
    line = {"mark": {"type": "line", "color": colour, "strokeWidth": 1.75}, "encoding": encoded}
    if len(rows) > POINTS_MAX:
        return [line]
    points = [
        {
            "mark": {"type": "circle", "size": 22, "color": colour, "opacity": 1},
            "transform": [{"filter": f"datum.complete && isValid(datum.{name})"}],
            "encoding": encoded,
        },
        {
            "mark": {
                "type": "point",
                "size": 22,
                "fill": "var(--paper)",
                "stroke": colour,
                "strokeWidth": 1.5,
                "opacity": 1,
            },
            "transform": [{"filter": f"!datum.complete && isValid(datum.{name})"}],
            "encoding": encoded,
        },
    ]
    return [line, *points]


def _lay_out(rows: Sequence[Mapping[str, Any]], size: Size, layers: Sequence[Spec]) -> Spec:
    """Layers over the days: shaded where not all is known, and a text for each day to hover on."""
    across = {"x": {"field": "begin", "type": "temporal"}, "x2": {"field": "end"}}
    shade = {
        "data": {"values": _join_incomplete(rows)},
        "mark": {"type": "rect", "color": "var(--shade)"},
        "encoding": across,
    }
    hover = {
        "mark": {"type": "rect", "color": "transparent", "aria": True},
        "encoding": {**across, "description": {"field": "says"}},
    }
    x = {
        "field": "middle",
        "type": "temporal",
        "scale": {"type": "utc", "domain": [rows[0]["begin"], rows[-1]["end"]]},
        "axis": {"format": "%-d %b", "grid": False, "labelFlush": True, **_place_dates(rows, size)},
    }
    drawn = [
        {**layer, "encoding": {"x": x, **layer["encoding"]}} for layer in [shade, *layers, hover]
    ]
    return {
        "width": size.width,
        "height": size.height,
        "data": {"values": list(rows)},
        "layer": drawn,
        "config": CONFIG,
    }


def _place_dates(rows: Sequence[Mapping[str, Any]], size: Size) -> dict[str, Any]:
    """Which dates stand below: of few days every one, or every second; else first of weeks, …"""
    if len(rows) > 2 * size.dates:
        return {"tickCount": size.dates}
    step = 1 if len(rows) <= size.dates else 2
    return {"values": [row["middle"] for row in rows[::step]]}


def _join_incomplete(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The ranges of days that are not complete: one area each, without seams."""
    joined = []
    for is_complete, group in groupby(rows, lambda row: row["complete"]):
        days = list(group)
        if not is_complete:
            joined.append({"begin": days[0]["begin"], "end": days[-1]["end"]})
    return joined


CONFIG: Mapping[str, Any] = {
    "background": None,
    "padding": {"left": 0, "right": 4, "top": 6, "bottom": 0},
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "mark": {"aria": False},
    "axis": {
        "aria": False,
        "title": None,
        "domain": False,
        "ticks": False,
        "gridColor": "var(--rule)",
        "labelColor": "var(--soft)",
        "labelFontSize": 11,
        "labelPadding": 6,
    },
    "axisY": {"minExtent": 44, "maxExtent": 44},
}
"""What all charts share."""
