"""Numbers, shares, durations and times as people read them."""

import math
import re
from datetime import datetime, timedelta

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def format_number(number: float) -> str:
    """A fraction with as many digits as help: 4 that count, none behind a large number."""
    if not number or not math.isfinite(number):
        return f"{number:g}"
    magnitude = abs(number)
    if not 1e-4 <= magnitude < 1e15:
        return f"{number:.4g}"
    digits = 4 if magnitude < 1 else max(0, 4 - len(str(int(magnitude))))
    return f"{number:.{digits}f}"


def format_count(count: int) -> str:
    """12 345 678, with narrow spaces that do not break."""
    return f"{count:,}".replace(",", "\u202f")


def count_things(count: int, thing: str) -> str:
    """A number of things, in plain digits: `1 page`, `12 pages`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def format_duration(duration: timedelta) -> str:
    """The two largest units of a duration: `3d 4h`, `12min 5s`, `2.5s`, `420ms`."""
    seconds = duration.total_seconds()
    if 0 < seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 10:
        return f"{seconds:.3g}s"
    parts: list[str] = []
    rest = round(seconds)
    for size, unit in UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def format_milliseconds(milliseconds: float | None) -> str:
    return "" if milliseconds is None else format_duration(timedelta(milliseconds=milliseconds))


def format_time(time: datetime | None) -> str:
    """A time in UTC to the second; the beginning of all time by its name."""
    if time is None:
        return ""
    return "the beginning" if time.timestamp() <= 0 else f"{time:%Y-%m-%d %H:%M:%S}"


def format_share(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f}\u202f%"


def format_interval(low: float | None, high: float | None) -> str:
    """The ends of an interval of shares: `6.4 – 7.8 %`."""
    return (
        ""
        if low is None or high is None
        else f"{low * 100:.1f}\u00a0–\u00a0{high * 100:.1f}\u202f%"
    )


def spell_milliseconds(milliseconds: float | None) -> str:
    """The same as `format_milliseconds` where there is room: `4 min 42 s`, in spaces that hold."""
    text = format_milliseconds(milliseconds).replace(" ", "\u00a0")
    return re.sub(r"(?<=\d)(?=[a-z])", "\u202f", text)
