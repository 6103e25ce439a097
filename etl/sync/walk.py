"""One gap, page by page.

The walk keeps nothing that would have to survive a crash: what is known stands in the ledger, and
a position is only good within this walk.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from etl.budget import Budget, BudgetEnded
from etl.coverage import (
    Progress,
    advance,
    halve,
    observe_order,
    remaining_gap,
    start_walk,
)
from etl.errors import CredentialsError, GapTooLarge, PositionLost, SourceError
from etl.http import GIVEN_UP, PATIENCE_MAX, Client
from etl.records import EPOCH, Gap, Mark, Page, SourceConfig, Stream
from etl.sources import Source

PAGES_MAX = 100_000
LOSSES_MAX = 5
RECENT_MARKS = 2_000
WINDOW_ROWS_MAX = 1_000
WINDOW_MIN = timedelta(seconds=1)
MISSES_MAX = 3
"""So many records that are not there by their ids, and none that is, may be the server's fault."""


@dataclass(frozen=True, slots=True)
class Step:
    """One page and what it made known.

    `is_reset`: what was known of the stream is void. `gone`: the platform has this record no more.
    `size_bytes`: what was received for it.
    """

    stream: Stream
    page: Page
    progress: Progress
    is_reset: bool = False
    gone: str | None = None
    size_bytes: int = 0


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


EVERY_STREAM = ""


@dataclass(frozen=True, slots=True)
class Walker:
    """What every walk of one source needs.

    `refusals` are by stream, or for every one, errors that any further request would meet, too.
    """

    source: Source
    client: Client
    config: SourceConfig
    budget: Budget
    pages: PageLimit
    refusals: dict[str, CredentialsError | SourceError] = field(default_factory=dict)


def walk_stream(
    walker: Walker, stream: Stream, gaps: tuple[Gap, ...], open_ids: tuple[str, ...] = ()
) -> Iterator[Step]:
    """Walk the gaps of one stream in turn, and read again what is still open, behind the head.

    Raises SourceError, CredentialsError, BudgetEnded. What was refused in one walk is not asked for
    again in others: they raise the same error.
    """
    refusal = walker.refusals.get(stream.name) or walker.refusals.get(EVERY_STREAM)
    if refusal is not None:
        raise refusal
    traffic = walker.client.traffic
    received_bytes = traffic.received_bytes
    try:
        for step in _walk_gaps(walker, stream, gaps, open_ids):
            before_bytes, received_bytes = received_bytes, traffic.received_bytes
            yield replace(step, size_bytes=received_bytes - before_bytes)
    except (CredentialsError, SourceError) as error:
        if error.reach == "request":
            raise
        place = stream.name if error.reach == "stream" else EVERY_STREAM
        raise walker.refusals.setdefault(place, error) from None


def _walk_gaps(
    walker: Walker, stream: Stream, gaps: tuple[Gap, ...], open_ids: tuple[str, ...]
) -> Iterator[Step]:
    failures: list[SourceError] = []
    listed: str | None = None
    for number, gap in enumerate(gaps):
        is_unordered = False
        try:
            for step in walk_gap(walker, stream, gap, gaps[0].until):
                is_unordered = step.progress.gap.order == "unordered"
                listed = step.page.marks[-1].id if step.page.marks else listed
                yield step
        except SourceError as error:
            # The other gaps have places of their own to begin at.
            if error.reach != "request" or _may_be_down(walker):
                raise
            failures.append(error)
        if number == 0:
            failures += yield from refresh(walker, stream, open_ids, listed)
        if is_unordered and not stream.is_windowed:
            # It was read as a whole, and with it every gap.
            break
    if failures:
        raise failures[0]


def _may_be_down(walker: Walker) -> bool:
    """Whether so much was given up in a row that it cannot be for one record that was asked for."""
    return walker.client.learned.get(GIVEN_UP, 0) >= PATIENCE_MAX


def refresh(
    walker: Walker, stream: Stream, ids: tuple[str, ...], listed: str | None
) -> Generator[Step, None, list[SourceError]]:
    """Read single records again; they make nothing known of the list.

    Those that are not there are gone, unless the server does not know by its id what it has just
    `listed` either. Returns the failures of those that it cannot show: they must not stop the
    others. Raises SourceError when it may be down.
    """
    nothing = start_walk(Gap(EPOCH, EPOCH))
    gone: list[Step] = []
    failures: list[SourceError] = []
    for record_id in ids:
        if walker.budget.is_over():
            raise BudgetEnded("the time budget is used up")
        try:
            page = walker.source.fetch_record(walker.client, walker.config, stream, record_id)
        except PositionLost:
            gone.append(Step(stream, Page([], [], None), nothing, gone=record_id))
        except GapTooLarge as error:
            if _may_be_down(walker):
                raise
            failures.append(error)
        else:
            yield Step(stream, page, nothing)
    is_suspicious = len(gone) >= MISSES_MAX and len(gone) + len(failures) == len(ids)
    if not is_suspicious or _is_known(walker, stream, listed):
        yield from gone
    return failures


def _is_known(walker: Walker, stream: Stream, record_id: str | None) -> bool:
    if record_id is None:
        return False
    try:
        walker.source.fetch_record(walker.client, walker.config, stream, record_id)
    except PositionLost:
        return False
    return True


def walk_gap(
    walker: Walker, stream: Stream, gap: Gap, newest: datetime | None = None
) -> Iterator[Step]:
    """Walk one gap to its end.

    A lost position is sought again from what is known by then. An order that breaks voids the
    ledger of a list that cannot be filtered by time: all of it is read again, up to `newest`.
    """
    trail = Trail(start_walk(gap))
    while not trail.progress.is_over:
        _check_budget(walker, trail)
        try:
            page = _fetch(walker, stream, trail)
            _check_range(walker, stream, trail.progress.gap, page)
            following = _advance(stream, trail, page)
        except PositionLost:
            if trail.losses == LOSSES_MAX:
                raise
            _seek_again(trail)
            continue
        except GapTooLarge as error:
            rest = remaining_gap(trail.progress, trail.recent)
            yield from _walk_smaller(walker, stream, rest, error, newest)
            return
        if following.is_order_broken and not stream.is_windowed:
            yield Step(stream, page, following, is_reset=True)
            since = walker.config.since or EPOCH
            whole = Gap(since, max(gap.until, newest or gap.until), order="unordered")
            trail = Trail(start_walk(whole))
            continue
        _check_advance(walker, stream, trail, page)
        yield Step(stream, page, following)
        _leave_behind(trail, page, following)


@dataclass(slots=True)
class Trail:
    """What one walk remembers of itself while it goes on.

    `losses` are positions lost since the last page that made something known.
    """

    progress: Progress
    position: str | None = None
    previous: Page | None = None
    recent: deque[Mark] = field(default_factory=lambda: deque(maxlen=RECENT_MARKS))
    seen: set[str] = field(default_factory=set)
    losses: int = 0


def _advance(stream: Stream, trail: Trail, page: Page) -> Progress:
    """The progress after a page.

    Raises PositionLost for a page that is in order but does not follow the one before: a server
    that forgot the position may begin at its head again.
    """
    following = advance(trail.progress, page)
    is_new = following.order == "unordered" and trail.progress.order != "unordered"
    may_be_restart = trail.position is not None and trail.losses < LOSSES_MAX
    if is_new and may_be_restart and not stream.is_windowed:
        times = [mark.time for mark in page.marks]
        if observe_order(trail.progress.order, None, times) != "unordered":
            raise PositionLost(f"{stream.name}: the page after {trail.position} does not follow it")
    return following


def _seek_again(trail: Trail) -> None:
    """Begin the rest of the gap anew."""
    trail.losses += 1
    rest = start_walk(remaining_gap(trail.progress, trail.recent))
    # The lookback counts from the server's clock when the walk began, not when it began anew.
    trail.progress = replace(rest, until=min(rest.until, trail.progress.until))
    trail.position = trail.previous = None
    trail.seen.clear()


def _leave_behind(trail: Trail, page: Page, following: Progress) -> None:
    if following.covered != trail.progress.covered:
        trail.losses = 0
    trail.recent.extend(page.marks)
    if trail.position is not None:
        trail.seen.add(trail.position)
    trail.progress, trail.position, trail.previous = following, page.next, page


def _fetch(walker: Walker, stream: Stream, trail: Trail) -> Page:
    """One page; raises GapTooLarge if the gap holds more than can be lost by an interruption.

    Rows that do not carry the key time make nothing known before the end of their gap.
    """
    gap = trail.progress.gap
    walker.pages.take()
    page = walker.source.fetch_page(walker.client, walker.config, stream, gap, trail.position)
    is_first = trail.position is None and page.total is not None
    rows_max = _max_window_rows(walker, len(page.marks))
    if is_first and (page.total or 0) > rows_max and _is_splittable(stream, gap):
        walker.pages.give_back()
        message = f"{walker.config.name}: {page.total} records in one window"
        raise GapTooLarge(message, is_counted=True)
    return page


def _check_range(walker: Walker, stream: Stream, gap: Gap, page: Page) -> None:
    """Raise PositionLost for a page of a window with records of other times only.

    A server, or a cache before it, answered another question. To believe that this window holds
    nothing else would lose its records for ever.
    """
    times = [mark.time for mark in page.marks if mark.time is not None]
    is_beside = any(time < gap.since or time > gap.until for time in times)
    if stream.is_windowed and is_beside and not any(gap.since <= t < gap.until for t in times):
        raise PositionLost(
            f"{walker.config.name}/{stream.name}: asked for {gap.since:%Y-%m-%d %H:%M} to "
            f"{gap.until:%Y-%m-%d %H:%M}, the answer holds other times only"
        )


def _max_window_rows(walker: Walker, page_rows: int) -> int:
    """How many rows a window may hold: no more than the pages that are left can show."""
    left = walker.pages.left
    return WINDOW_ROWS_MAX if left is None else min(WINDOW_ROWS_MAX, (left + 1) * page_rows)


def _is_splittable(stream: Stream, gap: Gap) -> bool:
    return stream.is_windowed and gap.until - gap.since > WINDOW_MIN


def _walk_smaller(
    walker: Walker, stream: Stream, gap: Gap, error: GapTooLarge, newest: datetime | None
) -> Iterator[Step]:
    """Walk a gap that is too large for the server as two, the newer one first, in half the pages.

    A list that cannot be filtered by time is read on in smaller pages only. Raises `error` where
    nothing can be made smaller, or that would not help; a half that fails does not stop the other.
    """
    halves = halve(gap) if _is_splittable(stream, gap) else None
    page_size = walker.config.page_size
    smaller = walker if error.is_counted else _limit_page(walker, max(1, page_size // 2))
    if halves is None and smaller.config.page_size == page_size:
        raise error
    if not error.is_certain:
        _check_alive(walker, stream, gap, error)
    failures = []
    for part in halves or (gap,):
        try:
            yield from walk_gap(smaller, stream, part, newest)
        except GapTooLarge as failure:
            if _may_be_down(walker):
                raise
            failures.append(failure)
    if failures:
        raise failures[0]


def _limit_page(walker: Walker, page_size: int) -> Walker:
    return replace(walker, config=replace(walker.config, page_size=page_size))


def _check_alive(walker: Walker, stream: Stream, gap: Gap, error: GapTooLarge) -> None:
    """Raise `error` if the server has no answer to the smallest question either: it is down."""
    least = _limit_page(walker, 1)
    shortest = replace(gap, since=gap.until - WINDOW_MIN) if stream.is_windowed else gap
    try:
        least.source.fetch_page(least.client, least.config, stream, shortest, None)
    except SourceError:
        raise error from None


def _check_budget(walker: Walker, trail: Trail) -> None:
    if walker.budget.is_over():
        raise BudgetEnded("the time budget is used up")
    if len(trail.seen) > PAGES_MAX:
        raise SourceError(
            f"{walker.config.name}: more than {PAGES_MAX} pages in one walk; what came is kept, "
            "the next run goes on behind it"
        )


def _check_advance(walker: Walker, stream: Stream, trail: Trail, page: Page) -> None:
    """Raise SourceError for a page that comes twice: the list would never end, or end too early."""
    is_same = trail.previous is not None and page.marks and page.marks == trail.previous.marks
    is_back = page.next is not None and (page.next == trail.position or page.next in trail.seen)
    if is_same or is_back:
        raise SourceError(
            f"{walker.config.name}/{stream.name}: the list does not advance: a page came again; "
            "what came before is kept, the next run goes on behind it"
        )
