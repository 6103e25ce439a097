"""One gap, page by page.

The walk keeps nothing that would have to survive a crash: what is known stands in the ledger, and
a position is only good within this walk.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from etl.budget import Budget, BudgetEnded
from etl.coverage import Progress, advance, halve, remaining_gap, start_walk
from etl.errors import GapTooLarge, PositionLost, SourceError
from etl.http import Client
from etl.records import Gap, Mark, Page, SourceConfig, Stream
from etl.sources import Source

PAGES_MAX = 100_000
LOSSES_MAX = 5
RECENT_MARKS = 2_000
WINDOW_ROWS_MAX = 1_000
WINDOW_MIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One page and what it made known. `is_reset`: what was known of the stream is void."""

    stream: Stream
    page: Page
    progress: Progress
    is_reset: bool = False


@dataclass(slots=True)
class PageLimit:
    """How many more pages a run may read, over all its threads; None: no limit."""

    left: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self) -> None:
        """Use up one page. Raises BudgetEnded when there is none left."""
        with self.lock:
            if self.left is None:
                return
            if self.left <= 0:
                raise BudgetEnded("the page limit is reached")
            self.left -= 1

    def give_back(self) -> None:
        """A page was read only to see that it must not be used."""
        with self.lock:
            if self.left is not None:
                self.left += 1


@dataclass(frozen=True, slots=True)
class Walker:
    """What every walk of one source needs."""

    source: Source
    client: Client
    config: SourceConfig
    budget: Budget
    pages: PageLimit


def walk_stream(walker: Walker, stream: Stream, gaps: tuple[Gap, ...]) -> Iterator[Step]:
    """Walk the gaps of one stream in turn; raises SourceError, CredentialsError, BudgetEnded."""
    for gap in gaps:
        for step in walk_gap(walker, stream, gap):
            yield step
        if step.progress.gap.order == "unordered" and not stream.is_windowed:
            return


def walk_gap(walker: Walker, stream: Stream, gap: Gap) -> Iterator[Step]:
    """Walk one gap to its end.

    A lost position is sought again from what is known by then. An order that breaks voids the
    ledger of a list that cannot be filtered by time: all of it is read again.
    """
    progress, position = start_walk(gap), None
    previous: Page | None = None
    recent: list[Mark] = []
    seen: set[str] = set()
    losses = 0
    while not progress.is_over:
        _check_budget(walker, len(seen))
        try:
            page = _fetch(walker, stream, progress, position)
        except PositionLost:
            losses += 1
            if losses > LOSSES_MAX:
                raise
            rest = remaining_gap(progress, recent)
            progress, position, previous = start_walk(rest), None, None
            continue
        except GapTooLarge:
            yield from _walk_halves(walker, stream, remaining_gap(progress, recent))
            return
        _check_advance(stream, page, previous, position, seen)
        before, progress = progress, advance(progress, page)
        if progress.is_order_broken and not stream.is_windowed:
            yield Step(stream, page, progress, is_reset=True)
            whole = Gap(walker.config.since or gap.since, gap.until, order="unordered")
            progress, position, previous = start_walk(whole), None, None
            seen.clear()
            continue
        if progress.covered != before.covered:
            losses = 0
        yield Step(stream, page, progress)
        recent = [*recent, *page.marks][-RECENT_MARKS:]
        position, previous = page.next, page


def _fetch(walker: Walker, stream: Stream, progress: Progress, position: str | None) -> Page:
    """One page; raises GapTooLarge if the gap holds more than can be lost by an interruption.

    Rows that do not carry the key time make nothing known before the end of their gap.
    """
    gap = progress.gap
    walker.pages.take()
    page = walker.source.fetch_page(walker.client, walker.config, stream, gap, position)
    is_first = position is None and page.total is not None
    if is_first and (page.total or 0) > _max_window_rows(walker) and _is_splittable(stream, gap):
        walker.pages.give_back()
        raise GapTooLarge(f"{walker.config.name}: {page.total} records in one window")
    return page


def _max_window_rows(walker: Walker) -> int:
    left = walker.pages.left
    page_size = walker.config.page_size
    return WINDOW_ROWS_MAX if left is None else min(WINDOW_ROWS_MAX, max(1, left) * page_size)


def _is_splittable(stream: Stream, gap: Gap) -> bool:
    return stream.is_windowed and gap.until - gap.since > WINDOW_MIN


def _walk_halves(walker: Walker, stream: Stream, gap: Gap) -> Iterator[Step]:
    """Walk a gap that is too large for the server as two, the newer one first."""
    halves = halve(gap) if _is_splittable(stream, gap) else None
    if halves is None:
        raise SourceError(
            f"{walker.config.name}/{stream.name}: the API cannot answer for "
            f"{gap.since:%Y-%m-%dT%H:%M:%SZ} to {gap.until:%Y-%m-%dT%H:%M:%SZ}, and the range "
            "cannot be made smaller"
        )
    for half in halves:
        yield from walk_gap(walker, stream, half)


def _check_budget(walker: Walker, pages: int) -> None:
    if walker.budget.is_over():
        raise BudgetEnded("the time budget is used up")
    if pages > PAGES_MAX:
        raise SourceError(
            f"{walker.config.name}: more than {PAGES_MAX} pages in one walk; what came is kept, "
            "the next run goes on behind it"
        )


def _check_advance(
    stream: Stream, page: Page, previous: Page | None, position: str | None, seen: set[str]
) -> None:
    """Raise SourceError for a list that would be walked for ever."""
    if position is not None:
        seen.add(position)
    is_same = previous is not None and len(page.marks) > 0 and page.marks == previous.marks
    if page.next is not None and (is_same or page.next == position or page.next in seen):
        raise SourceError(
            f"{stream.name}: the list does not advance: after {position} comes {page.next} again; "
            "what came before is kept"
        )
