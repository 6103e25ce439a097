"""The ledger's arithmetic against sets of moments on a short time line of microseconds."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from etl.coverage import (
    Interval,
    Ledger,
    Progress,
    advance,
    apply_walk,
    find_gaps,
    halve,
    merge,
    observe_order,
    plan_gaps,
    remaining_gap,
    start_walk,
    subtract,
    thin_out,
)
from etl.records import EPOCH, TICK, Gap, Mark, Order, Page

END = 24
"""The time line has the moments 0 to END - 1."""


def at(moment: int) -> datetime:
    return EPOCH + moment * TICK


def span(since: int, until: int) -> Interval:
    return Interval(at(since), at(until))


def to_set(intervals: Iterable[Interval]) -> set[int]:
    return {
        moment
        for interval in intervals
        for moment in range((interval.since - EPOCH) // TICK, (interval.until - EPOCH) // TICK)
    }


def is_canonical(ledger: Sequence[Interval]) -> bool:
    """Not empty, oldest first, and not even touching."""
    return all(i.since < i.until for i in ledger) and all(
        left.until < right.since for left, right in pairwise(ledger)
    )


moments = st.integers(0, END)
intervals = st.builds(span, moments, moments)
ledgers = st.lists(intervals, max_size=6).map(merge)
records = st.lists(st.integers(0, END - 1), max_size=14)


@given(st.lists(intervals, max_size=8))
def test_merge_is_the_union_in_its_shortest_form(parts: list[Interval]) -> None:
    merged = merge(parts)

    assert to_set(merged) == to_set(parts)
    assert is_canonical(merged)


@given(ledgers, intervals)
def test_subtract_is_the_difference(ledger: Ledger, hole: Interval) -> None:
    rest = subtract(ledger, hole)

    assert to_set(rest) == to_set(ledger) - to_set([hole])
    assert is_canonical(rest)


@given(ledgers, moments, moments)
def test_gaps_are_what_the_ledger_leaves_open(ledger: Ledger, since: int, until: int) -> None:
    gaps = find_gaps(ledger, at(since), at(until))

    assert to_set(gaps) == set(range(since, until)) - to_set(ledger)
    assert is_canonical(gaps[::-1]), "newest first"


@given(ledgers, moments, moments, st.integers(0, 8), st.none() | moments, st.booleans())
def test_a_plan_is_the_gaps_and_what_may_have_changed(
    ledger: Ledger, since: int, now: int, lookback: int, oldest_open: int | None, is_full: bool
) -> None:
    gaps = plan_gaps(
        ledger,
        at(since),
        at(now),
        lookback * TICK,
        None if oldest_open is None else at(oldest_open),
        is_full,
    )

    if is_full or not ledger:
        expected = set(range(since, now))
    else:
        top = max(to_set(ledger)) + 1
        reread_from = top - lookback if oldest_open is None else min(top - lookback, oldest_open)
        wanted = set(range(since, max(now, top)))
        expected = {m for m in wanted if m >= reread_from or m not in to_set(ledger)}
    assert to_set(gaps) == expected
    assert is_canonical(gaps[::-1])


@given(
    st.none() | st.sampled_from(["ascending", "descending", "unordered"]),
    st.none() | moments,
    st.lists(st.none() | moments, max_size=5),
)
def test_an_order_is_found_in_a_page_and_holds_until_a_pair_of_records_breaks_it(
    known: Order | None, tail: int | None, times: list[int | None]
) -> None:
    found = observe_order(
        known,
        None if tail is None else at(tail),
        [None if time is None else at(time) for time in times],
    )

    page = [time for time in times if time is not None]
    seen = page if tail is None else [tail, *page]
    if known == "unordered" or None in times:
        assert found == "unordered"
    elif known is None and len(set(page)) <= 1:
        assert found is None
    else:
        is_down = known == "descending" or (known is None and page[0] > page[-1])
        holds = seen == sorted(seen, reverse=is_down)
        assert found == (("descending" if is_down else "ascending") if holds else "unordered")


class ListedWalk:
    """A list of records that holds still, walked page by page through one gap."""

    def __init__(self, times: list[int], gap: Gap, start: int, size: int, clock: int | None):
        self.times, self.place, self.size, self.clock = times, start, size, clock
        self.progress = start_walk(gap)
        self.read: list[int] = []

    def step(self) -> None:
        page = self.times[self.place : self.place + self.size]
        self.place += self.size
        self.read += page
        self.progress = advance(
            self.progress,
            Page(
                page,
                [Mark(str(time), at(time)) for time in page],
                str(self.place) if self.place < len(self.times) else None,
                served_at=None if self.clock is None else at(self.clock),
            ),
        )

    @property
    def claimed(self) -> set[int]:
        return to_set([self.progress.covered] if self.progress.covered else [])

    def check_claim(self) -> None:
        """What is claimed lies in the gap, before the server's clock, and has been read."""
        gap = self.progress.gap
        known = to_set([Interval(gap.since, gap.until)])
        if self.clock is not None:
            known &= set(range(self.clock))
        assert self.claimed <= known
        assert {time for time in self.times if time in self.claimed} <= set(self.read)
        for time in self.claimed:
            assert self.times.count(time) == self.read.count(time), "ties are read whole"
        if self.progress.is_over:
            assert self.claimed == known


@st.composite
def walks(draw: st.DrawFn, order: Order) -> ListedWalk:
    """A walk that begins anywhere before its gap, as an anchor allows, knowing the order or not."""
    times = sorted(draw(records), reverse=order == "descending")
    since = draw(moments)
    until = draw(st.integers(since, END))
    if order == "descending":
        before = sum(time >= until for time in times)
    else:
        before = sum(time < since for time in times)
    start = draw(st.integers(0, before))
    gap = Gap(at(since), at(until), order=draw(st.sampled_from([order, None])))
    clock = draw(st.none() | moments)
    return ListedWalk(times, gap, start, draw(st.integers(1, 4)), clock)


@given(st.one_of(walks("descending"), walks("ascending")))
def test_a_walk_claims_what_it_has_read_and_no_more(walk: ListedWalk) -> None:
    """After each page, and all of its gap in the end, with ties across pages in both orders."""
    while not walk.progress.is_over:
        before = walk.claimed
        walk.step()
        walk.check_claim()
        assert before <= walk.claimed
        assert not walk.progress.is_order_broken


@given(walks("descending"))
def test_newest_first_everything_above_the_last_record_is_claimed(walk: ListedWalk) -> None:
    walk.progress = start_walk(replace(walk.progress.gap, order="descending"))
    walk.step()

    gap = walk.progress.gap
    if not walk.progress.is_over and walk.clock is None:
        expected = set(range(walk.read[-1] + 1, END)) & to_set([Interval(gap.since, gap.until)])
        assert walk.claimed == expected


@given(records, moments, moments, st.integers(1, 4))
def test_a_list_without_order_is_claimed_at_its_end(
    times: list[int], since: int, until: int, size: int
) -> None:
    walk = ListedWalk(times, Gap(at(since), at(until), order="unordered"), 0, size, None)

    while not walk.progress.is_over:
        assert walk.claimed == set()
        walk.step()

    assert walk.claimed == set(range(since, until))
    assert walk.read == times


@given(records, st.sampled_from(["ascending", "descending"]), st.integers(1, 4))
def test_a_broken_order_takes_the_claim_away(times: list[int], order: Order, size: int) -> None:
    walk = ListedWalk(times, Gap(at(0), at(END), order=order), 0, size, None)

    while not walk.progress.is_over and not walk.progress.is_order_broken:
        walk.step()

    is_sorted = walk.read == sorted(walk.read, reverse=order == "descending")
    assert walk.progress.is_order_broken == (not is_sorted)
    assert (walk.claimed == set()) == walk.progress.is_order_broken


@given(ledgers, walks("descending") | walks("ascending"), st.integers(0, 6))
def test_the_ledger_loses_the_walked_gap_and_gains_the_claim(
    ledger: Ledger, walk: ListedWalk, pages: int
) -> None:
    for _ in range(pages):
        if not walk.progress.is_over:
            walk.step()

    after = apply_walk(ledger, walk.progress)

    gap = to_set([Interval(walk.progress.gap.since, walk.progress.gap.until)])
    if walk.progress.order is None and not walk.progress.is_over:
        assert after == ledger
    else:
        assert to_set(after) == to_set(ledger) - gap | walk.claimed
        assert is_canonical(after)


@given(ledgers, records, moments, moments)
def test_a_walk_without_order_keeps_the_ledger_until_its_end(
    ledger: Ledger, times: list[int], since: int, until: int
) -> None:
    walk = ListedWalk(times, Gap(at(since), at(until), order="unordered"), 0, 1, None)

    while not walk.progress.is_over:
        assert apply_walk(ledger, walk.progress) == ledger
        walk.step()

    assert to_set(apply_walk(ledger, walk.progress)) == to_set(ledger) | set(range(since, until))


@given(ledgers, moments, moments)
def test_an_order_that_broke_takes_the_gap_from_the_ledger(
    ledger: Ledger, since: int, until: int
) -> None:
    gap = Gap(at(since), at(until), order="descending")
    broken = replace(start_walk(gap), order="unordered", is_order_broken=True)

    assert to_set(apply_walk(ledger, broken)) == to_set(ledger) - set(range(since, until))


@given(walks("descending") | walks("ascending"), st.integers(0, 6))
def test_the_rest_of_a_walk_and_its_claim_are_the_gap(walk: ListedWalk, pages: int) -> None:
    """Whoever loses the position after any page goes on without a hole, behind rows just read."""
    recent: list[Mark] = []
    for _ in range(pages):
        if not walk.progress.is_over:
            walk.step()
            recent = [Mark(str(time), at(time)) for time in walk.read]
    assume(not walk.progress.is_over)
    gap = walk.progress.gap

    rest = remaining_gap(walk.progress, recent)

    left = to_set([Interval(rest.since, rest.until)])
    known = to_set([Interval(gap.since, gap.until)])
    if walk.clock is not None:
        known &= set(range(walk.clock))
    assert known <= left | walk.claimed
    assert left & walk.claimed == set()
    for anchor in rest.anchors:
        assert anchor.time is not None
        if walk.progress.order == "descending":
            assert anchor.time >= rest.until
        else:
            assert anchor.time < rest.since


def test_anchors_are_near_ones_first_and_ever_farther() -> None:
    marks = [Mark(str(n), at(n)) for n in range(40)]

    assert [mark.id for mark in thin_out(marks)] == ["0", "1", "3", "7", "15", "31"]
    assert thin_out([]) == ()


@given(moments, moments)
def test_halves_are_the_whole_and_shorter(since: int, until: int) -> None:
    gap = Gap(at(since), at(until), anchors=(Mark("a", at(until)),), order="descending")

    halves = halve(gap)

    if until - since < 2:
        assert halves is None
        return
    assert halves is not None
    newer, older = halves
    assert (older.since, older.until) == (gap.since, newer.since)
    assert newer.until == gap.until
    assert gap.since < newer.since < gap.until
    assert older.anchors == ()


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    ledger = (span(0, 20),)

    gaps = plan_gaps(ledger, at(0), at(10), timedelta(0))

    assert gaps == ()


def test_a_record_beyond_the_servers_clock_is_not_claimed() -> None:
    """The server's clock is behind its records': its claim is empty, not inverted."""
    walk = ListedWalk([9, 8, 7], Gap(at(0), at(20), order="descending"), 0, 2, 5)

    walk.step()

    assert walk.progress.covered is None


def test_a_record_of_the_end_of_time_is_not_claimed() -> None:
    """There is no time behind it."""
    end = datetime.max.replace(tzinfo=UTC)
    page = Page([], [Mark("a", end), Mark("b", end)], "next")
    gap = Gap(at(0), at(20), order="descending")

    assert advance(start_walk(gap), page).covered is None


def test_only_the_first_page_tells_until_when_a_walk_knows() -> None:
    """What came into being while the walk went on was not on its first page."""
    walk = ListedWalk([9, 8, 7], Gap(at(0), at(20), order="descending"), 0, 1, 10)
    walk.step()
    walk.clock = 15
    walk.step()

    assert walk.progress.covered == span(9, 10)


def test_a_record_without_its_time_breaks_the_order() -> None:
    gap = Gap(at(0), at(20), order="descending")
    progress = advance(start_walk(gap), Page(["a"], [Mark("a", at(9))], "1"))

    broken = advance(progress, Page(["b"], [Mark("b", None)], "2"))

    assert broken.is_order_broken
    assert broken.covered is None


def test_an_empty_page_does_not_end_a_walk_by_itself() -> None:
    progress = Progress(Gap(at(0), at(20)), "descending", at(20), at(9), span(10, 20))

    following = advance(progress, Page([], [], "1"))

    assert following.covered == span(10, 20)
    assert not following.is_over
