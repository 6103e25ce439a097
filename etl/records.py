"""The words the whole program shares; imports nothing of etl.

A *stream* is a list with a position of its own; a *gap* is an interval of its key time that has to
be walked; a *page* is what one request brought; a *mark* is the place of one record in its list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
"""The resolution of every time in the store."""

Order = Literal["descending", "ascending", "unordered"]
"""How a list is sorted by key time; `unordered` also when nothing is known to hold."""

Role = Literal["plain", "address", "secret", "json", "text", "reason", "file"]
"""What redaction does to a column:

plain    nothing
address  fingerprint the password in it
secret   fingerprint it
json     look into its JSON, mask echoes
text     mask echoes
reason   mask echoes; why something failed is no payload
file     mask echoes; kept only where the contents of files are
"""

KEPT_ROLES = ("plain", "address", "reason")
"""The columns that are no payload, and stay where payloads are pruned or not wanted."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: `type` is DuckDB's name of it, `role` what redaction does to it.

    `label` is the column with a secret's name: that of `DEBUG` beside the value `true`. `known` are
    the values the API documents, where it does; others are stored all the same, and counted.
    """

    name: str
    type: str
    role: Role = "plain"
    label: str | None = None
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table of a kind; each is a constant of its module and equal to itself only.

    `key` is the natural key within a source. `time` names the key-time column by which anchors
    are found. `is_time_fixed`: that time never changes for a key, so an upsert may look for old
    versions within the batch's time range only. Of any other table, `numbered_by` names the text
    column of the key by whose number they are looked for, see etl.pending. `open_when` is an SQL
    predicate for rows that will still change. `ousted_when` relates a `stored` row to an `incoming`
    one that took its place under another key. `whole` names a column that is empty where a list
    left the details of a record out: such a record never takes the place of one that has them. Rows
    of `children` belong to one parent row and are replaced with it.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time: str | None = None
    is_time_fixed: bool = False
    numbered_by: str | None = None
    open_when: str | None = None
    ousted_when: str | None = None
    whole: str | None = None
    children: tuple["Table", ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """One list of a source, its table, and what is known of its order.

    `order` is None where the API does not document it: it is detected. `lookback` is the least
    overlap with the previous pass. `is_windowed`: the API filters by key time, so each gap is a
    list of its own; otherwise a walk into the middle of the one list needs the ids of stored rows
    (`Gap.anchors`). `window`: a longer gap of a windowed stream is walked as several of this length
    at once. `is_retrievable`: a few old open records are read again by id.
    """

    name: str
    table: Table
    lookback: timedelta
    order: Order | None = None
    is_windowed: bool = False
    window: timedelta | None = None
    is_retrievable: bool = False


class Mark(NamedTuple):
    """Where a record stands in its list: its id, and its key time (None: not in the record)."""

    id: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Gap:
    """The half-open interval `[since, until)` of key time that a walk has to close.

    `anchors` are stored rows just before the place where the walk begins (above `until` for a
    newest-first list, below `since` for an oldest-first one), nearest first.
    `order` is what is known of the list's order when the walk begins. `rank` is how many stored
    rows stand before that place: a guess at its offset, which costs requests where it is wrong.
    `whole` are the ids of stored rows in it and next to it that lack nothing: what the list leaves
    out of them need not be retrieved again.
    """

    since: datetime
    until: datetime
    anchors: tuple[Mark, ...] = ()
    order: Order | None = None
    rank: int = 0
    whole: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that could not be understood: its JSON text, the path of the fault, the reason."""

    raw: bytes
    path: str
    error: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one step of a walk brought.

    `marks` are what was listed, in the API's order; `records` are those of them to be stored.
    `next` is the position of the next page within this walk (None: the gap is at its end).
    `extras` are fields the program does not know, as JSON text by index of the record. `broken` are
    records that could not be understood. `total`: how many records the gap holds, where the
    API tells; a list whose rows do not carry the key time is split by it into windows small enough
    to be walked in one go. `served_at` is the server's clock when it answered.
    """

    records: Sequence[Any]
    marks: Sequence[Mark]
    next: str | None
    extras: Mapping[int, bytes] = field(default_factory=dict)
    broken: Sequence[Broken] = ()
    total: int | None = None
    served_at: datetime | None = None


class Flat(msgspec.Struct, frozen=True, gc=False):
    """One record as rows: values in the order of `Table.columns`, and child rows per child table.

    `children` is parallel to `Table.children`, or empty when the record has none at all.
    """

    row: tuple[Any, ...]
    children: tuple[list[tuple[Any, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One configured source: the keys every kind has, and the kind's own `options`."""

    name: str
    kind: str
    base_url: str
    token_env: str
    token: str = field(repr=False)
    options: Any = None
    since: datetime | None = None
    lookback: timedelta | None = None
    page_size: int = 100
    requests_per_second: float | None = None
    concurrency: int = 4
    payloads: Literal["full", "redacted", "none"] = "redacted"
    file_contents: bool = False
    detect_secrets: bool = False


def to_epoch_us(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - EPOCH) // TICK


def from_epoch_us(microseconds: int) -> datetime:
    """The inverse of `to_epoch_us`."""
    return EPOCH + microseconds * TICK
