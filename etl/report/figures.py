"""What stands on the page, as plain values.

Shares are of 1, durations in milliseconds. Times without an offset are those of the clock on the
wall, in the time zone of the period.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Period:
    """The days shown, up to now; `today_us` is when the last one began, since 1970 as the others.

    Before them as many, up to the same time of the day: so both are equally long.
    """

    first_day: date
    last_day: date
    days: int
    timezone: str
    made_at: datetime
    since_us: int
    today_us: int
    previous_since_us: int
    previous_until_us: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How many finished, how many of them failed, and Wilson's interval around the share."""

    finished: int = 0
    failed: int = 0
    rate: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_low_sample(self) -> bool:
        return self.finished < 30


@dataclass(frozen=True, slots=True)
class Totals:
    """A period as a whole; `is_known` where all of it is covered, up to the newest time known."""

    executions: int
    running: int
    failures: Rate
    p50_ms: float | None
    p95_ms: float | None
    wasted_ms: float
    total_ms: float
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """One day of one source."""

    source: str
    day: date
    executions: int
    failures: Rate
    p50_ms: float | None
    p95_ms: float | None
    is_complete: bool


@dataclass(frozen=True, slots=True)
class SourceDays:
    """One source, day by day."""

    source: str
    kind: str
    executions: int
    failures: Rate
    days: tuple[Day, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """One tool, function, job or workflow."""

    source: str
    name: str | None
    executions: int
    failures: Rate
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Failing:
    """One kind of error: how often in the period, and since when at all."""

    source: str
    error_type: str | None
    message: str | None
    failures: int
    names: int
    first_seen_at: datetime
    last_seen_at: datetime
    is_new: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """One of the longest executions."""

    source: str
    name: str | None
    execution_id: str
    started_at: datetime
    duration_ms: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the week; weekday 1 is Monday."""

    weekday: int
    hour: int
    executions: int
    failures: Rate


@dataclass(frozen=True, slots=True)
class Stream:
    """How fresh one list is, and which parts of the period are known: shares of its length."""

    source: str
    stream: str
    executions: int
    running: int
    last_started_at: datetime | None
    covered_until: datetime | None
    lag_s: float | None
    gaps: int
    last_state: str | None
    last_error: str | None
    covered: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """The first rows of a list, and how many there are in all."""

    rows: tuple[Row, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything on the page."""

    period: Period
    now: Totals
    before: Totals
    sources: Listing[SourceDays]
    hours: tuple[Hour, ...]
    names: Listing[Named]
    errors: Listing[Failing]
    slowest: tuple[Slow, ...]
    streams: Listing[Stream]
