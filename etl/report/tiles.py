"""The headline: a few figures, and how each has changed since the period before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from etl.report.figures import Totals
from etl.wording import format_count, format_interval, format_share, spell_milliseconds

Mood = Literal["better", "worse", "even"]
UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure, what it is of, and its change; `mood` says so where that is more than chance."""

    label: str
    value: str
    note: str
    change: str
    mood: Mood = "even"


def list_tiles(now: Totals, before: Totals) -> tuple[Tile, ...]:
    """The headline figures in the order in which they are read."""
    return (
        Tile(
            "Executions",
            format_count(now.executions),
            f"{format_count(now.running) if now.running else 'none'} still running",
            describe_change(now.executions, before.executions, before, format_count),
        ),
        make_rate_tile(now, before),
        Tile(
            "Failed",
            format_count(now.failures.failed),
            f"of {format_count(now.failures.finished)} finished",
            describe_change(now.failures.failed, before.failures.failed, before, format_count),
        ),
        make_duration_tile("Median duration", now.p50_ms, before.p50_ms, before),
        make_duration_tile("95th percentile", now.p95_ms, before.p95_ms, before),
        make_waste_tile(now, before),
    )


def make_rate_tile(now: Totals, before: Totals) -> Tile:
    """The failure rate. It got better or worse only if the two intervals do not overlap."""
    label, new, old = "Failure rate", now.failures, before.failures
    if new.rate is None or new.low is None or new.high is None:
        return Tile(label, UNKNOWN, "nothing finished", describe_past(before))
    # A word joiner: a line may break after a dash, but not after this one.
    interval = format_interval(new.low, new.high).replace("–", "–\u2060")
    note = f"95\u202f% interval {interval}"
    if not before.is_known or old.rate is None or old.low is None or old.high is None:
        return Tile(label, format_share(new.rate), note, describe_past(before))
    change = f"{(new.rate - old.rate) * 100:+.1f}\u202fpoints, was {format_share(old.rate)}"
    mood: Mood = "worse" if new.low > old.high else "better" if new.high < old.low else "even"
    within = "; within chance" if mood == "even" else ""
    return Tile(label, format_share(new.rate), note, change.replace("-", "−") + within, mood)


def make_duration_tile(label: str, new: float | None, old: float | None, before: Totals) -> Tile:
    """A quantile of the durations of successes."""
    return Tile(
        label,
        spell_milliseconds(new) or UNKNOWN,
        "of successes",
        describe_change(new, old, before, spell_milliseconds),
    )


def make_waste_tile(now: Totals, before: Totals) -> Tile:
    """How long all failed executions ran together."""
    share = f"{format_share(now.wasted_ms / now.total_ms)} of" if now.total_ms else "of"
    return Tile(
        "Time lost to failures",
        spell_milliseconds(now.wasted_ms),
        f"{share} all running time",
        describe_change(now.wasted_ms, before.wasted_ms, before, spell_milliseconds),
    )


def describe_change(
    new: float | None, old: float | None, before: Totals, format_value: Callable[[Any], str]
) -> str:
    """`+3 %, was 4 878`."""
    if not before.is_known or new is None or old is None:
        return describe_past(before)
    if not old:
        return f"was {format_value(old)}"
    percent = round((new - old) / old * 100)
    change = f"{percent:+}\u202f%".replace("-", "−") if percent else "about the same"
    return f"{change}, was {format_value(old)}"


def describe_past(before: Totals) -> str:
    """Why there is nothing to compare with; nothing where the page as a whole says it."""
    if not before.is_known:
        return ""
    return "too few before" if before.executions else "none before"
