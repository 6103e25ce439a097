"""Numbers, texts and ids that look random and depend on nothing but a key and an index.

Each execution has `DRAWS` numbers of 16 bits of its own. A module that makes executions gives each
of them a name, so that one more decision never changes those that were there before.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from math import exp
from statistics import NormalDist
from struct import Struct
from typing import TypeVar

DRAWS = 32
DRAW_LIMIT = 65_536
TABLE_SIZE = 1_024
DAY_MS = 86_400_000
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Item = TypeVar("Item")
Draws = tuple[int, ...]

_unpack = Struct(f"<{DRAWS}H").unpack
_NORMAL = tuple(NormalDist().inv_cdf((rank + 0.5) / TABLE_SIZE) for rank in range(TABLE_SIZE))
_BASE32_PAIRS = tuple(first + second for first in BASE32 for second in BASE32)
_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}:" for minute in range(1_440))
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def make_key(seed: int, stream: str) -> bytes:
    """The key of one stream of executions: 32 bytes."""
    return blake2b(f"{seed}/{stream}".encode(), digest_size=32).digest()


def draw(key: bytes, index: int) -> Draws:
    """`DRAWS` numbers from 0 to 65 535 that belong to this index alone."""
    return _unpack(blake2b(index.to_bytes(8, "little", signed=True), key=key).digest())


def make_table(weights: Mapping[Item, float]) -> tuple[Item, ...]:
    """`TABLE_SIZE` entries with the items in proportion; `pick` reads it in constant time."""
    total = sum(weights.values())
    table: list[Item] = []
    reached = 0.0
    for item, weight in weights.items():
        reached += weight
        table += [item] * (round(reached / total * TABLE_SIZE) - len(table))
    return tuple(table)


def pick(table: tuple[Item, ...], number: int) -> Item:
    """The table's entry for a number from 0 to 65 535."""
    return table[number * len(table) >> 16]


def log_normal(median: float, sigma: float, number: int) -> float:
    """A log-normal value for a number from 0 to 65 535; at most `median * exp(3.3 * sigma)`."""
    return median * exp(sigma * _NORMAL[number >> 6])


def make_secret(key: bytes, label: str, prefix: str, length: int) -> str:
    """A credential of a usual shape, always the same for one key and label."""
    digits = b"".join(
        blake2b(f"{label}/{part}".encode(), key=key).digest() for part in range(1 + length // 64)
    )
    return prefix + "".join(LETTERS[digit % len(LETTERS)] for digit in digits[:length])


def ulid(time_ms: int, bits: int) -> str:
    """26 characters that sort by time: 48 bits of milliseconds, then 80 bits of `bits`."""
    # Written out, and in pieces of 40 bits: half the time of a loop over the one big number.
    pairs, high, low = _BASE32_PAIRS, bits >> 40, bits & 0xFFFFFFFFFF
    return (
        f"{pairs[time_ms >> 40]}{pairs[time_ms >> 30 & 1023]}{pairs[time_ms >> 20 & 1023]}"
        f"{pairs[time_ms >> 10 & 1023]}{pairs[time_ms & 1023]}"
        f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}"
        f"{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[low >> 30]}{pairs[low >> 20 & 1023]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def read_base32(text: str) -> int | None:
    """The number that a part of a ULID stands for, or None if it is no such text."""
    value = 0
    for letter in text:
        digit = BASE32.find(letter)
        if digit < 0:
            return None
        value = value << 5 | digit
    return value


def uuid_text(numbers: Draws) -> str:
    """A UUID's text from eight numbers of 16 bits."""
    return "{:04x}{:04x}-{:04x}-{:04x}-{:04x}-{:04x}{:04x}{:04x}".format(*numbers)


@lru_cache(maxsize=1_024)
def _date_text(day: int) -> str:
    return (_UNIX_EPOCH + timedelta(days=day)).strftime("%Y-%m-%dT")


def iso_ms(time_ms: int) -> str:
    """`2026-03-01T10:00:00.120Z`: always three decimals, as Java writes most instants."""
    day, rest_ms = divmod(time_ms, DAY_MS)
    minute, rest_ms = divmod(rest_ms, 60_000)
    return f"{_date_text(day)}{_MINUTES[minute]}{rest_ms // 1_000:02}.{rest_ms % 1_000:03}Z"


def iso_short(time_ms: int) -> str:
    """`2026-03-01T10:00:00.12Z`: without trailing zeros, as Go writes times."""
    text = iso_ms(time_ms)
    if time_ms % 10:
        return text
    return text[:-1].rstrip("0").rstrip(".") + "Z"


def unix_ms(moment: datetime) -> int:
    """An aware datetime as whole milliseconds since 1970, rounded down."""
    return (moment - _UNIX_EPOCH) // timedelta(milliseconds=1)


def unix_ms_up(moment: datetime) -> int:
    """The same, rounded up: a whole millisecond is before `moment` just if it is before this."""
    return -((_UNIX_EPOCH - moment) // timedelta(milliseconds=1))
