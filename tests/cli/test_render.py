"""Bars and curves in a terminal."""

from etl.cli.render import draw_bar, draw_sparkline


def test_bars_are_drawn_to_an_eighth_and_stay_in_their_box() -> None:
    assert [draw_bar(share, 2) for share in (0, 1 / 16, 0.5, 1, 7)] == ["", "▏", "█", "██", "██"]


def test_sparklines_leave_a_gap_where_nothing_is_known() -> None:
    assert draw_sparkline([0.0, 0.5, None, 1.0]) == "▁▅ █"
    assert draw_sparkline([0.0, 0.0]) == "▁▁"
    assert draw_sparkline([]) == ""
