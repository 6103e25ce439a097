"""Charts: axes that can be read, shades, and what a drawing may hold."""

import sys
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from etl.errors import ConfigError
from etl.report import charts
from etl.report.draw import draw_svg, load_converter
from etl.report.figures import Day, Hour, Rate
from tests.views.expected import find_wilson

FIRST = date(2026, 3, 1)


def make_rate(failed: int, finished: int) -> Rate:
    low, high = find_wilson(failed, finished)
    return Rate(finished, failed, failed / finished if finished else None, low, high)


def make_days(
    *rates: Rate, p50_ms: float | None = 100.0, p95_ms: float | None = 900.0
) -> list[Day]:
    return [
        Day("alpha", FIRST + timedelta(days=n), rate.finished, rate, p50_ms, p95_ms, n > 0)
        for n, rate in enumerate(rates)
    ]


@pytest.mark.parametrize(
    ("longest_ms", "ticks"),
    [
        (900.0, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (4_300.0, ["0", "1 s", "2 s", "3 s", "4 s"]),
        (95_000.0, ["0", "20 s", "40 s", "1 min", "1.333 min"]),
        (7_200_000.0, ["0", "30 min", "1 h", "1.5 h", "2 h"]),
        (1.0, ["0", "0.5 ms", "1 ms"]),
    ],
)
def test_ticks_of_durations_are_round(longest_ms: float, ticks: list[str]) -> None:
    assert [charts.name_duration(t) for t in charts.list_duration_ticks(longest_ms)] == ticks


def test_durations_that_lie_far_apart_get_steps_of_ten() -> None:
    near = charts.describe_duration_axis([100.0, 900.0])
    far = charts.describe_duration_axis([700.0, 600_000.0])

    assert near["scale"]["type"] == "linear"
    assert far["scale"] == {"type": "log", "domain": [100.0, 600_000.0]}
    assert far["axis"]["values"] == [100.0, 1e3, 10e3, 60e3, 600e3]


def test_a_day_of_few_does_not_flatten_the_others() -> None:
    days = make_days(make_rate(1, 1), make_rate(5, 100), make_rate(4, 100))

    assert 0.05 < charts.find_rate_top(days) < 0.15
    assert charts.find_rate_top(days[:1]) == 1.0
    assert charts.find_rate_top([]) == 0.01


@pytest.mark.parametrize(
    ("days", "dates"), [(1, ["1 Mar"]), (4, ["1 Mar", "2 Mar", "3 Mar", "4 Mar"])]
)
def test_no_date_stands_twice_below_a_few_days(days: int, dates: list[str]) -> None:
    svg = draw_svg(
        charts.describe_rates(make_days(*[make_rate(1, 50)] * days), charts.NARROW), "few"
    )

    labels = [text.text or "" for text in ElementTree.fromstring(svg).iter("text")]
    assert [label for label in labels if "Mar" in label] == dates


def test_shades_go_from_nothing_to_the_highest() -> None:
    assert [charts.find_step(v, 10) for v in (0, 0.1, 2, 4, 9.9, 10)] == [0, 1, 2, 3, 5, 5]
    assert charts.find_step(0, 0) == 0


def test_hours_of_which_little_is_known_are_small() -> None:
    hours = [Hour(1, 0, 100, make_rate(50, 100)), Hour(7, 23, 2, make_rate(2, 2))]

    cells = charts.shade_failures(hours)

    assert len(cells) == 7 * 24
    assert (cells[1, 0].step, cells[1, 0].is_small) == (5, False)
    assert (cells[7, 23].step, cells[7, 23].is_small) == (5, True)
    assert cells[2, 5].says == "Tue 05:00: nothing finished"
    assert charts.shade_runs(hours)[7, 23].says == "Sun 23:00: 2 executions"


def test_a_drawing_says_each_day_and_has_neither_style_nor_script() -> None:
    days = make_days(make_rate(5, 100), make_rate(0, 0))

    svg = draw_svg(charts.describe_rates(days, charts.NARROW), 'a "title"')

    root = ElementTree.fromstring(svg)
    assert root.attrib.keys() == {"viewBox", "role", "aria-label"}
    assert root.attrib["aria-label"] == 'a "title"'
    assert [title.text for title in root.iter("title")] == [
        "Sun 01 Mar (not all known): 5.0\u202f% failed "
        "(95 % interval 2.2\u00a0–\u00a011.2\u202f%), 5 of 100",
        "Mon 02 Mar: nothing finished",
    ]
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "line", "text", "title"}
    assert not {name for e in root.iter() for name in e.attrib} & {"style", "class", "href"}


@pytest.mark.parametrize("durations", [(None, None), (0.0, 0.0), (1.0, 3_600_000.0)])
def test_durations_can_always_be_drawn(durations: tuple[float | None, float | None]) -> None:
    days = make_days(make_rate(0, 9), p50_ms=durations[0], p95_ms=durations[1])

    svg = draw_svg(charts.describe_durations(days, charts.WIDE), "durations")

    assert "NaN" not in svg
    assert "Infinity" not in svg


def test_without_the_library_there_is_a_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    load_converter.cache_clear()

    with pytest.raises(ConfigError, match=r'pip install "etl-executions\[report\]"'):
        load_converter()
