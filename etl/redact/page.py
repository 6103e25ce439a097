"""The records of one page without their credentials.

In most records nothing has to go but the values of secret columns. To know that must cost little:
the JSON of a page is joined and searched as one text, the texts of a record as another, by tests
that are sometimes wrong and never miss. Only what they point at is looked through with care.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from etl.records import Flat, Table
from etl.redact.echoes import Sought, has_echo
from etl.redact.literals import looks_like_literal
from etl.redact.names import find_named, may_name_field, names_secret
from etl.redact.payload import DOCUMENT_STARTS, begins_document
from etl.redact.plan import Plan, Redactor, find_plan
from etl.redact.record import (
    Work,
    describe_payload_in,
    join_payload,
    list_payload,
    redact_echoes_in,
    redact_json_in,
    redact_names_in,
    redact_shapes_in,
    redact_typed,
)
from etl.redact.shapes import may_hold_shape
from etl.redact.typed import Row


@dataclass(frozen=True, slots=True)
class Redacted:
    """A record that may be written, and how many values were replaced in it."""

    flat: Flat
    extra: str | None
    count: int


class RedactedPage(NamedTuple):
    """Records that may be written, their unknown fields by index, how many values were replaced."""

    flats: list[Flat]
    extras: dict[int, str]
    replaced: int


def redact_record(redactor: Redactor, table: Table, flat: Flat, extra: str | None) -> Redacted:
    """The rows of one record, and its unknown fields, without its credentials.

    `extra` is a JSON object of the unknown fields by their path.
    """
    page = redact_page(redactor, table, [flat], {} if extra is None else {0: extra})
    return Redacted(page.flats[0], page.extras.get(0), page.replaced)


def redact_page(
    redactor: Redactor, table: Table, flats: Sequence[Flat], extras: Mapping[int, str]
) -> RedactedPage:
    """The same for many records at once: a fraction of the cost for each."""
    if redactor.payloads == "full":
        return RedactedPage(list(flats), dict(extras), 0)
    plan = find_plan(redactor, table)
    works = [Work(flat.row, flat.children) for flat in flats]
    for index in extras:
        works[index].extra = extras[index]
    for work in works:
        redact_typed(redactor.key, plan, work)
    if redactor.payloads == "none":
        for work in works:
            describe_payload_in(redactor, plan, work)
    else:
        _redact_names(redactor, plan, works)
        for work in works:
            _redact_texts(redactor, plan, work)
    return RedactedPage(
        [Flat(work.row, work.children) for work in works],
        {index: works[index].extra or "" for index in extras},
        sum([work.count for work in works]),
    )


def _redact_names(redactor: Redactor, plan: Plan, works: Sequence[Work]) -> None:
    """What stands below a key name that means a secret, in JSON or what is like it."""
    careful = set(_list_documents(plan, works)) | set(_list_deep_jsons(plan, works))
    careful.update([i for i, work in enumerate(works) if work.extra and may_name_field(work.extra)])
    for index in careful:
        redact_names_in(redactor, plan, works[index])
    for found in find_named([work.row[place] or "" for place in plan.jsons for work in works]):
        column, index = divmod(found, len(works))
        if index not in careful:
            redact_json_in(redactor, works[index], plan.jsons[column])


def _list_deep_jsons(plan: Plan, works: Sequence[Work]) -> list[int]:
    """The indexes of records with such JSON in a child row."""
    found = [
        (index, row[place])
        for index, child, row in _list_deep_rows(plan, works)
        for place in child.jsons
    ]
    return [found[place][0] for place in find_named([text or "" for _, text in found])]


def _list_documents(plan: Plan, works: Sequence[Work]) -> list[int]:
    """The indexes of records in whose texts such a document stands."""
    found = []
    for place in plan.texts:
        found += [
            index
            for index, work in enumerate(works)
            if (text := work.row[place]) and text[0] in DOCUMENT_STARTS and _is_named(text)
        ]
    for place in plan.lists:
        found += [
            index
            for index, work in enumerate(works)
            if (texts := work.row[place]) and any(map(_is_named, texts))
        ]
    for index, child, row in _list_deep_rows(plan, works):
        if any([_is_named(text) for text in list_payload(child, row)]):
            found.append(index)
    return found


def _list_deep_rows(plan: Plan, works: Sequence[Work]) -> Iterator[tuple[int, Plan, Row]]:
    """The child rows with payload, each with the index of its record."""
    for place in plan.deep:
        for index, work in enumerate(works):
            for row in work.children[place] if work.children else ():
                yield index, plan.children[place], row


def _is_named(text: str | None) -> bool:
    """Whether a text is such a document. Most are none by their first letter."""
    if not text or text[0] not in DOCUMENT_STARTS or begins_document(text) is None:
        return False
    return names_secret(text) or looks_like_literal(text)


def _redact_texts(redactor: Redactor, plan: Plan, work: Work) -> None:
    """Connection strings, keys and tokens, if there are any; then the echoes of all secrets."""
    whole = join_payload(plan, work)
    if may_hold_shape(whole, redactor.detect_secrets):
        redact_shapes_in(redactor, plan, work)
        whole = join_payload(plan, work)
    if work.secrets and _may_hold_echo(work.secrets, whole):
        redact_echoes_in(redactor, plan, work)


def _may_hold_echo(secrets: Sequence[Sought], whole: str) -> bool:
    """Whether the secrets may be elsewhere in the record; where JSON escapes them, perhaps."""
    if has_echo(secrets, whole):
        return True
    if "\\" not in whole:
        return False
    return "\\u00" in whole or any([sought.is_escaped for sought in secrets])
