"""A place in a list that is paged by offset: found, and kept while rows come and go.

    find_start   a gap in the middle of the list  ->  the page on which it begins
    mark_place   a page  ->  the position behind it
    find_place   a position  ->  the page on which it stands by now

An offset alone means nothing for long: each row that comes or goes shifts all rows behind it. So
a position names rows that were read, and consecutive pages overlap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from etl.errors import SourceError
from etl.records import Gap

LIMIT_MIN = 4
"""Pages overlap: smaller ones would not get ahead."""
PROBE_LIMIT = 2
LOOKS_MAX = 60
"""Enough for a list of any length, and for one that shifts while it is searched."""
ANCHORS_MAX = 4
PAGES_AROUND = (0, -1, 1, -2, 2)


class Place(NamedTuple):
    """The id and the key time of a row, as far as they can be read."""

    id: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Rows:
    """One answer of a list: its rows as JSON, and what names them."""

    offset: int
    raws: Sequence[msgspec.Raw]
    places: Sequence[Place]
    has_more: bool
    served_at: datetime | None


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a walk stands: rows it has read, nearest first; the first of them was at `offset`."""

    offset: int
    anchors: tuple[str, ...]


Read = Callable[[int, int], Rows]
"""The rows from an offset on, up to a limit. Raises OffsetRefused."""


class OffsetRefused(SourceError):
    """The API does not take so large an offset."""


@dataclass(frozen=True, slots=True)
class _Search:
    """Where to look next, how many rows to read there, and how far to leap afterwards.

    Row `low` stands before the gap, row `high` does not; None: nobody has looked so far.
    """

    limit: int
    offset: int
    size: int
    step: int
    low: int = 0
    high: int | None = None


def find_start(read: Read, gap: Gap, limit: int) -> Rows:
    """The page on which a gap begins: its first row is the list's or stands before the gap.

    The page itself proves that, however the list shifted while the page was sought. A list whose
    order is not known is read from its head. Takes O(log n) requests, one if `gap.rank` is right.
    """
    if gap.order not in ("ascending", "descending"):
        return read(0, limit)
    search = _Search(limit, max(0, gap.rank - limit // 2), limit, limit)
    for _ in range(LOOKS_MAX):
        try:
            rows = read(search.offset, search.size)
        except OffsetRefused:
            search = _narrow(search, -1, 0)
            continue
        side = _compare(rows, gap)
        is_near = side == 0 or (side > 0 and search.high is not None)
        if is_near and search.size == limit:
            return rows
        search = _narrow(search, side, len(rows.places))
    return read(0, limit)


def _compare(rows: Rows, gap: Gap) -> int:
    """0 if the gap begins on this page, 1 if it does behind it, -1 if it may do before it."""
    times = [place.time for place in rows.places if place.time is not None]
    if rows.offset > 0 and not (times and _is_before(times[0], gap)):
        return -1
    return 1 if times and rows.has_more and _is_before(times[-1], gap) else 0


def _is_before(time: datetime, gap: Gap) -> bool:
    """Whether no row of the gap can stand in the list before one of this time."""
    return time >= gap.until if gap.order == "descending" else time < gap.since


def _narrow(search: _Search, side: int, count: int) -> _Search:
    """The search after a look at `count` rows; an edge that they contradict has moved meanwhile."""
    here, low, high = search.offset, search.low, search.high
    if side == 0:
        return _aim(search, here, here + 1, search.step)
    if side < 0:
        is_contradiction = low >= here
        low, high = 0 if is_contradiction else low, here
    else:
        low = here + count - 1
        is_contradiction = high is not None and high <= low
        high = None if is_contradiction else high
    return _aim(search, low, high, search.limit if is_contradiction else search.step)


def _aim(search: _Search, low: int, high: int | None, step: int) -> _Search:
    """Look ever farther from what is known, then halfway between, then at a whole page."""
    if high is None:
        offset, size = low + step, PROBE_LIMIT
    elif high - low <= search.limit:
        offset, size = low, search.limit
    else:
        offset, size = max(high - step, (low + high) // 2), PROBE_LIMIT
    return _Search(search.limit, offset, size, 2 * step, low, high)


def mark_place(rows: Rows, first: int = 0, here: Position | None = None) -> Position | None:
    """The position behind a page; None if no row has an id.

    `here` is the position at which the page was found, `first` the row behind it. Rows that stand
    before it by now may be new ones, which the walk has not read: it would go backwards from them.

    It is the last row whose time is not that of the end: rows of one time may change places
    between two requests, so those of the last time are all read again. A page that is mostly of
    one time is overlapped by its last row only.
    """
    places = rows.places
    last_time = next((place.time for place in reversed(places) if place.time is not None), None)
    named = [n for n, place in enumerate(places) if place.id is not None and n >= first - 1]
    apart = [n for n, place in enumerate(places) if place.time not in (None, last_time)]
    before = [n for n in named if apart and n <= apart[-1]]
    if before and before[-1] >= len(places) // 2:
        named = before
    if not named:
        return None
    anchors = [places[n].id or "" for n in reversed(named)] + list(here.anchors if here else ())
    return Position(rows.offset + named[-1], tuple(dict.fromkeys(anchors))[:ANCHORS_MAX])


def find_place(read: Read, here: Position, limit: int) -> tuple[Rows, int] | None:
    """The page on which a position stands by now, and which row of it is the first behind it.

    None if none of its rows is near: they have gone, or very many came or went before them.
    """
    offsets = [max(0, here.offset + pages * (limit - 1)) for pages in PAGES_AROUND]
    for offset in dict.fromkeys(offsets):
        rows = read(offset, limit)
        ids = [place.id for place in rows.places]
        for anchor in here.anchors:
            if anchor in ids:
                return rows, ids.index(anchor) + 1
    return None
