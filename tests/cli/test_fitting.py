"""Tables in the room there is: numbers and times whole, texts cut, else row by row."""

import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from etl.cli import render
from etl.cli.fitting import Width, choose_gap, count_fitting, measure_column, share_room
from etl.cli.results import RECORDS_MAX, show_rows
from etl.cli.shell import Shell

NAMES = ("name", "n", "at")
TYPES = ("VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE")
ROW = ("a name of some length", "1234567", "2026-01-01 00:00:00+00")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A terminal of some width."""

    def make_narrow(width: int) -> None:
        monkeypatch.setattr(
            render, "open_console", lambda: Console(file=sys.stdout, width=width, markup=False)
        )

    return make_narrow


def show(capsys: pytest.CaptureFixture[str], rows: int = 1) -> list[str]:
    show_rows(Shell(), NAMES, TYPES, [ROW] * rows)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_names_and_numbers_are_never_cut() -> None:
    assert measure_column(4, [30, 2], can_be_cut=True) == Width(30, 12)
    assert measure_column(17, [30, 2], can_be_cut=True) == Width(30, 17)
    assert measure_column(4, [30, 2], can_be_cut=False) == Width(30, 30)
    assert measure_column(4, [], can_be_cut=True) == Width(4, 4)


@pytest.mark.parametrize(
    ("room", "shared", "gap"),
    [
        (100, [30, 20, 7], 3),
        (63, [30, 20, 7], 3),
        (62, [30, 20, 7], 2),
        (60, [29, 20, 7], 2),
        (51, [20, 20, 7], 2),
        (50, [20, 19, 7], 2),
        (35, [12, 12, 7], 2),
    ],
)
def test_the_widest_texts_are_cut_first(room: int, shared: list[int], gap: int) -> None:
    widths = [Width(30, 12), Width(20, 12), Width(7, 7)]

    assert share_room(widths, room) == shared
    assert choose_gap(widths, room) == gap
    assert count_fitting(widths, room) == 3


def test_columns_from_the_left_find_room() -> None:
    widths = [Width(30, 12), Width(20, 12), Width(7, 7)]

    assert [count_fitting(widths, room) for room in (34, 26, 25, 3)] == [2, 2, 1, 1]


def test_a_text_is_cut_to_make_room_for_numbers_and_times(
    narrow: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(48)

    assert show(capsys) == [
        "name                   n  at",
        "─" * 48,
        "a name of some…  1234567  2026-01-01 00:00:00+00",
    ]


def test_sentences_are_wrapped_and_not_cut(
    narrow: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(30)

    render.print_table(
        ("name", "found"), [("interpreter", "11 of 11 promises kept")], is_wrapped=True
    )

    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "name         found",
        "─" * 30,
        "interpreter  11 of 11 promises",
        "             kept",
    ]


def test_a_few_rows_that_are_too_wide_are_shown_one_by_one(
    narrow: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(30)

    lines = show(capsys, rows=2)

    assert lines[0] == "1 " + "─" * 28
    assert [line.split(maxsplit=1)[1] for line in lines[1:4]] == list(ROW)
    assert lines[4].startswith("2 ─")


def test_of_many_rows_the_columns_that_fit_are_shown_and_the_others_named(
    narrow: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(30)

    show_rows(Shell(), NAMES, TYPES, [ROW] * (RECORDS_MAX + 1))

    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].split() == ["name", "n"]
    assert "too narrow for: at; all: --format csv" in captured.err
