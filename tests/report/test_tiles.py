"""The headline: changes are named, and called better or worse only where it is no chance."""

from dataclasses import replace

import pytest

from etl.report.figures import Rate, Totals
from etl.report.tiles import Tile, list_tiles
from tests.views.expected import find_wilson


def make_totals(failed: int = 10, finished: int = 100, is_known: bool = True) -> Totals:
    low, high = find_wilson(failed, finished)
    rate = Rate(finished, failed, failed / finished if finished else None, low, high)
    return Totals(finished, 0, rate, 1_000.0, 60_000.0, 500.0, 5_000.0, is_known)


def find_tile(tiles: tuple[Tile, ...], label: str) -> Tile:
    return next(tile for tile in tiles if tile.label == label)


@pytest.mark.parametrize(
    ("before", "change", "mood"),
    [
        (make_totals(11), "−1.0\u202fpoints, was 11.0\u202f%; within chance", "even"),
        (make_totals(40), "−30.0\u202fpoints, was 40.0\u202f%", "better"),
        (make_totals(1, 1000), "+9.9\u202fpoints, was 0.1\u202f%", "worse"),
        (make_totals(0, 0), "none before", "even"),
        (make_totals(40, is_known=False), "", "even"),
    ],
)
def test_a_failure_rate_got_better_or_worse_if_intervals_do_not_overlap(
    before: Totals, change: str, mood: str
) -> None:
    tile = find_tile(list_tiles(make_totals(), before), "Failure rate")

    assert (tile.value, tile.change, tile.mood) == ("10.0\u202f%", change, mood)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (make_totals(5), "+100\u202f%, was 5"),
        (make_totals(20), "−50\u202f%, was 20"),
        (make_totals(10), "about the same, was 10"),
        (make_totals(0), "was 0"),
        (make_totals(5, is_known=False), ""),
    ],
)
def test_other_changes_are_relative(before: Totals, change: str) -> None:
    assert find_tile(list_tiles(make_totals(), before), "Failed").change == change


def test_a_duration_without_enough_samples_is_a_dash() -> None:
    now = replace(make_totals(), p50_ms=None)

    tile = find_tile(list_tiles(now, make_totals()), "Median duration")

    assert (tile.value, tile.change) == ("–", "too few before")


def test_nothing_at_all_has_no_shares() -> None:
    nothing = Totals(0, 0, Rate(), None, None, 0.0, 0.0, True)

    tiles = list_tiles(nothing, nothing)

    assert [tile.value for tile in tiles] == ["0", "–", "0", "–", "–", "0\u202fs"]
