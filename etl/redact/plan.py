"""Who redacts, and where in the rows of a table there is something to do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal

from etl.records import Table
from etl.redact.typed import Row, SecretPlace

SEPARATOR = "\0"
"""Between texts that are searched together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The places of a table's columns by what they hold.

    `texts`, `lists` (of texts) and `jsons` are payload that is kept, `dropped` is payload that is
    not; `reasons` are those texts that are kept in any case; `addresses` may have a password in
    them. `pick_payload` takes `texts` and `jsons` out of a row at once.

    Of the child tables, `unsafe` have something that must go, `deep` payload that is kept.
    """

    table: Table
    secrets: tuple[SecretPlace, ...]
    addresses: tuple[int, ...]
    texts: tuple[int, ...]
    reasons: tuple[int, ...]
    lists: tuple[int, ...]
    jsons: tuple[int, ...]
    dropped: tuple[int, ...]
    pick_payload: Callable[[Row], tuple[str | None, ...]]
    children: "tuple[Plan, ...]"
    unsafe: tuple[int, ...]
    deep: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Redactor:
    """How one source's rows are made safe: the store's random key and the source's policy.

    `file_contents`: keep the contents of files, too. `detect_secrets`: look for tokens of
    well-known issuers, wherever they stand. `plans` fills itself.
    """

    key: bytes = field(repr=False)
    payloads: Literal["full", "redacted", "none"] = "redacted"
    file_contents: bool = False
    detect_secrets: bool = False
    plans: dict[int, Plan] = field(default_factory=dict, repr=False, compare=False)


def find_plan(redactor: Redactor, table: Table) -> Plan:
    """The plan of a table, made once.

    It is found by the table's identity, as its hash costs more than the work on a small record;
    the plan keeps the table alive, so the identity stays its own.
    """
    plan = redactor.plans.get(id(table))
    if plan is None:
        plan = redactor.plans[id(table)] = make_plan(redactor, table)
    return plan


def make_plan(redactor: Redactor, table: Table) -> Plan:
    """Sort the columns of a table by what has to be done with them."""
    keeps_files = redactor.file_contents and redactor.payloads != "none"
    kept = ("text", "reason", "file") if keeps_files else ("text", "reason")
    columns = list(enumerate(table.columns))
    texts = tuple(i for i, c in columns if c.role in kept and not c.type.endswith("[]"))
    reasons = tuple(i for i, c in columns if c.role == "reason")
    lists = tuple(i for i, c in columns if c.role in kept and c.type.endswith("[]"))
    jsons = tuple(i for i, c in columns if c.role == "json")
    dropped = () if keeps_files else tuple(i for i, c in columns if c.role == "file")
    children = tuple(make_plan(redactor, child) for child in table.children)
    return Plan(
        table=table,
        secrets=_find_secrets(table),
        addresses=tuple(i for i, c in columns if c.role == "address"),
        texts=texts,
        reasons=reasons,
        lists=lists,
        jsons=jsons,
        dropped=dropped,
        pick_payload=_make_picker(texts + jsons),
        children=children,
        unsafe=tuple(i for i, c in enumerate(children) if c.secrets or c.addresses or c.dropped),
        deep=tuple(i for i, c in enumerate(children) if c.texts or c.lists or c.jsons),
    )


def _find_secrets(table: Table) -> tuple[SecretPlace, ...]:
    names = [column.name for column in table.columns]
    return tuple(
        (place, None if column.label is None else names.index(column.label))
        for place, column in enumerate(table.columns)
        if column.role == "secret"
    )


def _make_picker(places: tuple[int, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple([row[place] for place in places])
