"""How wide the columns of a table are in the room there is, and which of them find room at all."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDE_GAP, GAP = 3, 2
"""Characters between two columns: where there is room, and where there is little."""
TEXT_LEAST = 12


@dataclass(frozen=True, slots=True)
class Width:
    """What a column takes as a whole, and what it takes at least."""

    whole: int
    least: int


def measure_column(name_cells: int, cells: Sequence[int], can_be_cut: bool) -> Width:
    """The width of a column from those of its name and values. Names are never cut."""
    whole = max((name_cells, *cells))
    return Width(whole, min(whole, max(name_cells, TEXT_LEAST)) if can_be_cut else whole)


def count_fitting(widths: Sequence[Width], room: int) -> int:
    """How many columns from the left find room, texts cut; one always does."""
    taken = 0
    for place, width in enumerate(widths):
        taken += width.least + (GAP if place else 0)
        if taken > room:
            return max(1, place)
    return len(widths)


def choose_gap(widths: Sequence[Width], room: int) -> int:
    """The wide gap if then nothing is cut."""
    whole = sum(width.whole for width in widths) + WIDE_GAP * (len(widths) - 1)
    return WIDE_GAP if whole <= room else GAP


def share_room(widths: Sequence[Width], room: int) -> list[int]:
    """The widths that fill the room: the widest texts are cut first, none below its least."""
    left = room - choose_gap(widths, room) * (len(widths) - 1)
    limit = max((width.whole for width in widths), default=0)
    shared = [width.whole for width in widths]
    while sum(shared) > left and limit > 0:
        limit -= 1
        shared = [max(width.least, min(width.whole, limit)) for width in widths]
    # The last step may have cut more than it had to.
    for place, width in enumerate(widths):
        if sum(shared) < left and shared[place] == limit and shared[place] < width.whole:
            shared[place] += 1
    return shared
