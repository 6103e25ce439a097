"""When executions start: a fixed grid of slots over all time, bent to the rhythm of a working week.

Slot k belongs to execution k for ever, in every process and whatever the clock says; a later `now`
only makes later slots visible. The grid lies on a scale of "busy time" that runs fast while people
work and slowly at night. Both directions are piecewise linear over one week, so time to index
costs as little as index to time.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate

from etl.demo.chance import DAY_MS, DRAW_LIMIT, draw, make_key, unix_ms

# A Monday, so that weeks of the grid are weeks of the calendar.
EPOCH_MS = 1_514_764_800_000
HOUR_MS = 3_600_000
HOUR_US = HOUR_MS * 1_000
WEEK_US = 168 * HOUR_US

# Relative load by hour of day, UTC.
WORKDAY = (2, 1, 1, 1, 1, 2, 3, 5, 8, 10, 11, 11, 9, 9, 11, 11, 10, 8, 6, 4, 3, 3, 2, 2)
WEEKEND = (2, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2)
_LOAD = WORKDAY * 5 + WEEKEND * 2
_BUSY_UNTIL_US = tuple(WEEK_US * load // sum(_LOAD) for load in accumulate(_LOAD))
_BUSY_SINCE_US = (0, *_BUSY_UNTIL_US[:-1])

INCIDENT_BLOCK_DAYS = 60
INCIDENT_HOURS = range(7, 20)


@dataclass(frozen=True, slots=True)
class Span:
    """How much history there is, and which part of the grid can be seen.

    The grid holds `executions` in `days`. Without `origin` the newest `executions` can be seen, so
    the oldest leave as new ones come; with `origin` all since then. Nothing after `end` is ever
    seen.
    """

    executions: int = 5_000
    days: float = 90.0
    origin: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.executions < 1 or self.days <= 0:
            raise ValueError("a history needs at least one execution and more than zero days")


DEFAULT_SPAN = Span()


@dataclass(frozen=True, slots=True)
class Grid:
    """Slots of equal busy time; `spacing_us` is the mean distance of two starts."""

    spacing_us: int

    def time_ms(self, index: int, jitter: int) -> int:
        """When the execution of a slot starts; `jitter`, 0 to 65 535, is its place inside."""
        busy_us = index * self.spacing_us + (jitter * self.spacing_us >> 16)
        week, rest_us = divmod(busy_us, WEEK_US)
        hour = bisect_right(_BUSY_UNTIL_US, rest_us)
        since_us, until_us = _BUSY_SINCE_US[hour], _BUSY_UNTIL_US[hour]
        inside_us = (rest_us - since_us) * HOUR_US // (until_us - since_us)
        return EPOCH_MS + (week * WEEK_US + hour * HOUR_US + inside_us) // 1_000

    def slot_at(self, time_ms: int) -> int:
        """The slot around a time; the last start before it is in this slot or next to it."""
        week, rest_us = divmod((time_ms - EPOCH_MS) * 1_000, WEEK_US)
        hour, inside_us = divmod(rest_us, HOUR_US)
        since_us, until_us = _BUSY_SINCE_US[hour], _BUSY_UNTIL_US[hour]
        busy_us = week * WEEK_US + since_us + inside_us * (until_us - since_us) // HOUR_US
        return busy_us // self.spacing_us

    def index_at(self, time_ms: int, time_of: Callable[[int], int]) -> int:
        """The last index that starts at or before a time; `time_of` must never fall."""
        index = self.slot_at(time_ms)
        while time_of(index + 1) <= time_ms:
            index += 1
        while time_of(index) > time_ms:
            index -= 1
        return index


def make_grid(span: Span, share: float = 1.0) -> Grid:
    """The grid of a stream that gets `share` of the span's executions."""
    spacing_us = timedelta(days=span.days) / timedelta(microseconds=1) / (span.executions * share)
    return Grid(max(1, round(spacing_us)))


def find_visible(span: Span, count: int, now: datetime, index_at: Callable[[int], int]) -> range:
    """The indexes that can be seen at `now`, oldest first; `count` is used without an origin."""
    until = now if span.end is None else min(now, span.end)
    newest = index_at(unix_ms(until))
    if span.origin is None:
        return range(newest - count + 1, newest + 1)
    first = index_at(unix_ms(span.origin) - 1) + 1
    return range(first, max(first, newest + 1))


@lru_cache(maxsize=256)
def find_incident_day(seed: int, block: int) -> int:
    """The day, counted from the grid's epoch, of the one incident in a block of 60 days.

    Always a working day, and no two are more than 81 days apart: 90 days show at least one.
    """
    number = draw(make_key(seed, "incident"), block)[0]
    day = block * INCIDENT_BLOCK_DAYS + 20 + number * 20 // DRAW_LIMIT
    weekday = day % 7
    return day if weekday < 5 else day - weekday + 4


def is_incident(seed: int, time_ms: int) -> bool:
    """True during the working hours of an incident day: the same for every platform of a seed."""
    day, rest_ms = divmod(time_ms - EPOCH_MS, DAY_MS)
    incident_day = find_incident_day(seed, day // INCIDENT_BLOCK_DAYS)
    return day == incident_day and rest_ms // HOUR_MS in INCIDENT_HOURS
