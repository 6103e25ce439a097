"""What is looked at in a store: the rows of a stream by name, and what the ledger claims of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from etl.coverage import Ledger
from etl.records import Table
from tests.simulation.world import Record

Name = tuple[Any, ...]
"""What tells the rows of a stream apart: values of its `names` columns."""


class Expected(NamedTuple):
    """A row that a record must have become: its version, and how many child rows it has."""

    name: Name
    version: int | None = None
    children: int = 0


class Held(NamedTuple):
    """A row that is in the store; `version` as its column holds it."""

    version: Any
    children: int


@dataclass(frozen=True)
class Watched:
    """One stream and how its table shows what it got.

    `expect` are the rows a record must have, `forbid` the names of those it may not have (any
    more). `key_time` is the time the ledger counts by. `does_claim_version`: a claim is about the
    version, too; else only the end of a complete run is.
    """

    stream: str
    table: Table
    names: tuple[str, ...]
    key_time: Callable[[Record], datetime]
    expect: Callable[[Record], Sequence[Expected]]
    forbid: Callable[[Record], Sequence[Name]] = lambda record: ()
    version: str | None = None
    read_version: Callable[[Any], int | None] = lambda value: None
    child: Table | None = None
    does_claim_version: bool = True


@dataclass
class Snapshot:
    """What a store holds of one source, by stream; `faults` are rows that may not be there.

    `counted` are the new rows that the runs say they have brought.
    """

    rows: dict[str, dict[Name, Held]] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
