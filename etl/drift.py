"""What an API sends that it does not document: unknown fields, unknown values of known ones."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from etl.records import Flat, Table

VALUE_MAX_CHARS = 100
"""Documented values are short words; what is longer is told by its beginning."""

_INDEX = re.compile(r"\[\d+\]")

Place = tuple[int, str, frozenset[str | None]]
"""Where a column with documented values stands, its name, those values and None."""


def has_drift(table: Table, flats: Sequence[Flat]) -> bool:
    """Whether any of the records has an undocumented value; in most pages, none has."""
    return not all(
        [
            known.issuperset([flat.row[place] for flat in flats])
            for place, _, known in list_documented(table)
        ]
    )


def find_drift(table: Table, flat: Flat, extra: str | None) -> list[tuple[str, str | None]]:
    """The unknown fields of a record by path, and its undocumented values by column.

    `extra` is the JSON object of unknown fields by path; items of lists share one path:
    `details.request.files[*].mode`. A field stands with None, a value with itself.
    """
    found: list[tuple[str, str | None]] = []
    for place, name, known in list_documented(table):
        value = flat.row[place]
        if value not in known:
            found.append((name, str(value)[:VALUE_MAX_CHARS]))
    if extra is not None:
        found += [(path, None) for path in list_paths(extra)]
    return found


def list_documented(table: Table) -> tuple[Place, ...]:
    """The columns of a table whose values the API documents.

    They are found by the table's identity: its hash would cost more than all the look-ups.
    """
    found = _documented.get(id(table))
    if found is None or found[0] is not table:
        found = _documented[id(table)] = (table, _list_documented(table))
    return found[1]


def _list_documented(table: Table) -> tuple[Place, ...]:
    return tuple(
        (place, column.name, frozenset((*column.known, None)))
        for place, column in enumerate(table.columns)
        if column.known
    )


_documented: dict[int, tuple[Table, tuple[Place, ...]]] = {}


def list_paths(extra: str) -> list[str]:
    """The paths of unknown fields, each once, without the places in lists."""
    fields: dict[str, Any] = msgspec.json.decode(extra, type=dict[str, msgspec.Raw])
    return list(dict.fromkeys(_INDEX.sub("[*]", path) for path in fields))
