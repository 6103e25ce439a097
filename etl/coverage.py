"""The ledger of what is known, as pure arithmetic on half-open intervals of key time.

    plan_gaps   ledger, settings and now  ->  the gaps to walk, newest first
    advance     what a walk knows so far, one page  ->  what it knows now
    apply_walk  ledger, a walk's progress  ->  the ledger to commit with the rows

Nothing here reads a clock, a store or a network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from etl.records import TICK, Gap, Mark, Order, Page


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The half-open interval `[since, until)` of key time."""

    since: datetime
    until: datetime


Ledger = tuple[Interval, ...]
"""Disjoint intervals that do not touch, oldest first."""


def merge(intervals: Iterable[Interval]) -> Ledger:
    """The union of `intervals`; empty ones vanish, touching ones become one."""
    merged: list[Interval] = []
    for interval in sorted(i for i in intervals if i.since < i.until):
        if merged and interval.since <= merged[-1].until:
            merged[-1] = Interval(merged[-1].since, max(merged[-1].until, interval.until))
        else:
            merged.append(interval)
    return tuple(merged)


def subtract(ledger: Ledger, hole: Interval) -> Ledger:
    """The ledger without `hole`."""
    parts = (
        part
        for interval in ledger
        for part in (
            Interval(interval.since, min(interval.until, hole.since)),
            Interval(max(interval.since, hole.until), interval.until),
        )
    )
    return merge(parts)


def find_gaps(ledger: Ledger, since: datetime, until: datetime) -> tuple[Interval, ...]:
    """What `ledger` leaves open within `[since, until)`, newest first."""
    edges = [since]
    for interval in ledger:
        edges += [interval.since, interval.until]
    edges.append(until)
    gaps = (
        Interval(max(lower, since), min(upper, until))
        for lower, upper in zip(edges[::2], edges[1::2], strict=True)
    )
    return tuple(reversed([gap for gap in gaps if gap.since < gap.until]))


def plan_gaps(
    ledger: Ledger,
    since: datetime,
    now: datetime,
    lookback: timedelta,
    oldest_open: datetime | None = None,
    is_full: bool = False,
) -> tuple[Interval, ...]:
    """The intervals a pass has to walk, newest first.

    A pass reads again from `lookback` below the newest time known, and from the oldest open
    record: records appear late and change. A clock that was set back leaves the head in place.
    """
    if is_full or not ledger:
        return find_gaps((), since, now)
    again = find_reread(ledger, now, lookback, oldest_open)
    settled = subtract(ledger, Interval(again.since, again.until + TICK))
    return find_gaps(settled, since, again.until)


def find_reread(
    ledger: Ledger, now: datetime, lookback: timedelta, oldest_open: datetime | None = None
) -> Interval:
    """What a pass cannot rely on, up to now, of a ledger that is not empty."""
    top = ledger[-1].until
    return Interval(min(top - lookback, oldest_open or top), max(now, top))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the walk through one gap has come.

    `order` is the list's order as far as the pages have shown it. `tail` is the key time of the
    last record read, `covered` the part of the gap that is known by now. `is_over`: the whole gap
    is. `is_order_broken`: the pages contradict the order the walk relied on, so it has no claim.
    """

    gap: Gap
    order: Order | None
    until: datetime
    tail: datetime | None = None
    covered: Interval | None = None
    is_over: bool = False
    is_order_broken: bool = False


def start_walk(gap: Gap) -> Progress:
    """A walk of which no page has been read."""
    return Progress(gap, gap.order, gap.until)


def forget(interval: Interval) -> Progress:
    """A walk that has read nothing and claims nothing: it takes the interval off a ledger."""
    return replace(start_walk(Gap(interval.since, interval.until)), is_order_broken=True)


def advance(progress: Progress, page: Page) -> Progress:
    """Take one page into account.

    Newest first, everything above the page's last key time is known; the time itself is not, for
    the next page may hold more records of it. Oldest first, the same the other way round. A list
    without order is known when its end is. The claim never reaches beyond the server's clock.
    """
    until = progress.until
    if progress.tail is None and page.served_at is not None:
        until = min(until, page.served_at)
    times = [mark.time for mark in page.marks]
    order = observe_order(progress.order, progress.tail, times)
    is_broken = order == "unordered" and progress.order in ("ascending", "descending")
    tail = times[-1] if times else progress.tail
    step = replace(progress, order=order, until=until, tail=tail)
    if is_broken:
        return replace(step, covered=None, is_order_broken=True)
    is_over = page.next is None or _has_passed(step)
    return replace(step, is_over=is_over, covered=_claim(step, is_over))


def observe_order(
    known: Order | None, tail: datetime | None, times: Sequence[datetime | None]
) -> Order | None:
    """The order of a list after one more page; `unordered` once a pair of records breaks it.

    It is found within a page only: a server that forgot the walk's place may begin at its head
    again, and then the newest records come behind older ones.
    """
    seen = [time for time in times if time is not None]
    if known == "unordered" or len(seen) < len(times):
        return "unordered"
    order = known or _find_order(seen)
    if order is None:
        return None
    following = seen if tail is None else [tail, *seen]
    return order if _is_in_order(following, order) else "unordered"


def _find_order(times: Sequence[datetime]) -> Order | None:
    """The order of the records of one page; None if they are all of one time."""
    if all(time == times[0] for time in times):
        return None
    return "descending" if times[0] >= times[-1] else "ascending"


def _is_in_order(times: Sequence[datetime], order: Order) -> bool:
    if order == "descending":
        return all(a >= b for a, b in pairwise(times))
    return order == "ascending" and all(a <= b for a, b in pairwise(times))


def _has_passed(progress: Progress) -> bool:
    """Whether the walk has read beyond the far end of its gap."""
    if progress.tail is None:
        return False
    if progress.order == "descending":
        return progress.tail < progress.gap.since
    return progress.order == "ascending" and progress.tail >= progress.gap.until


def _claim(progress: Progress, is_over: bool) -> Interval | None:
    """The part of the gap that the pages read so far make known."""
    since, until = progress.gap.since, progress.until
    if not is_over:
        if progress.tail is None or progress.order in (None, "unordered"):
            return None
        if progress.order == "ascending":
            until = min(until, progress.tail)
        elif progress.tail < until:
            since = max(since, progress.tail + TICK)
        else:
            return None
    return Interval(since, until) if since < until else None


def remaining_gap(progress: Progress, recent: Iterable[Mark]) -> Gap:
    """What a walk that lost its position has still to read, anchored at rows it has just read.

    `recent` are the marks of the last pages in list order.
    """
    gap, covered = progress.gap, progress.covered
    order = progress.order
    if covered is None or order not in ("ascending", "descending"):
        return gap
    if order == "descending":
        rest = replace(gap, until=covered.since, order=order)
        before = [mark for mark in recent if mark.time is not None and mark.time >= rest.until]
    else:
        rest = replace(gap, since=covered.until, order=order)
        before = [mark for mark in recent if mark.time is not None and mark.time < rest.since]
    return replace(rest, anchors=(*thin_out(before[::-1]), *gap.anchors))


def thin_out(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Marks at a distance of 0, 1, 3, 7, …: few, near ones first, far ones in the end."""
    picked = []
    distance = 1
    while distance <= len(marks):
        picked.append(marks[distance - 1])
        distance *= 2
    return tuple(picked)


def halve(gap: Gap) -> tuple[Gap, Gap] | None:
    """The gap as two, newest first; None when it is too short to be split."""
    middle = gap.since + (gap.until - gap.since) / 2
    if not gap.since < middle < gap.until:
        return None
    return replace(gap, since=middle), replace(gap, until=middle, anchors=())


def apply_walk(ledger: Ledger, progress: Progress) -> Ledger:
    """The ledger after a walk has come this far.

    The walked gap first loses what was claimed of it: a pass that reads a range again and is
    stopped in the middle leaves the rest to be read again, or a late record would be missed. A
    walk without order claims nothing before its end, so it takes nothing away either, except what
    it claimed before the order broke.
    """
    has_order = progress.order in ("ascending", "descending") or progress.is_order_broken
    if not (has_order or progress.is_over):
        return ledger
    settled = subtract(ledger, Interval(progress.gap.since, progress.gap.until))
    return settled if progress.covered is None else merge((*settled, progress.covered))
