"""The records of one page without their credentials.

In most records nothing has to go but the values of secret columns. To know that must cost little:
the payload is joined and searched as one text, by tests that are sometimes wrong and never miss.
Only the records they point at are looked through with care.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from etl.records import Flat, Table
from etl.redact.echoes import Needles, has_echo, list_needles
from etl.redact.literals import looks_like_literal
from etl.redact.names import may_name_field, names_secret
from etl.redact.payload import looks_like_json
from etl.redact.plan import SEPARATOR, Plan, Redactor, find_plan
from etl.redact.record import (
    Work,
    describe_payload_in,
    redact_echoes_in,
    redact_names_in,
    redact_shapes_in,
)
from etl.redact.shapes import may_hold_connection, may_hold_token
from etl.redact.typed import Row, fingerprint_tables

_DOCUMENT_STARTS = frozenset("{[( \t\r\n")


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
    works = [Work(flat.row, flat.children, None) for flat in flats]
    for index in extras:
        works[index].extra = extras[index]
    for work in works:
        _redact_typed(redactor.key, plan, work)
    if redactor.payloads == "none":
        for work in works:
            describe_payload_in(redactor, plan, work)
    else:
        for work in works:
            _redact_payload(redactor, plan, work)
    return RedactedPage(
        [Flat(work.row, work.children) for work in works],
        {index: works[index].extra or "" for index in extras},
        sum([work.count for work in works]),
    )


def _redact_typed(key: bytes, plan: Plan, work: Work) -> None:
    """Fingerprint the secret columns of all rows and drop the contents of files."""
    if plan.secrets or plan.dropped:
        work.row = _redact_rows(key, plan, [work.row], work)[0]
    if not work.children:
        return
    children = work.children
    known = plan.fingerprint_repeated(tuple([tuple(children[place]) for place in plan.repeated]))
    # Records share these lists: they say the same, and nobody changes them.
    work.children = known.tables
    work.secrets += known.secrets
    work.count += known.replaced
    for place in plan.unique:
        if children[place]:
            rows = _redact_rows(key, plan.children[place], children[place], work)
            work.children = (*work.children[:place], rows, *work.children[place + 1 :])


def _redact_rows(key: bytes, plan: Plan, rows: list[Row], work: Work) -> list[Row]:
    if plan.dropped:
        places = plan.dropped
        rows = [tuple([None if i in places else v for i, v in enumerate(row)]) for row in rows]
    if plan.secrets:
        known = fingerprint_tables(key, [plan.secrets], (0,), [rows])
        work.secrets += known.secrets
        work.count += known.replaced
        return known.tables[0]
    return rows


def _redact_payload(redactor: Redactor, plan: Plan, work: Work) -> None:
    """Each rule, if there is something for it in the payload; echoes last."""
    jsons, texts = _join_payload(plan, work)
    whole = SEPARATOR.join(texts)
    before = work.count
    documents = [text for text in texts[:-1] if text[0] in _DOCUMENT_STARTS]
    if names_secret(jsons) or (documents and _has_names(documents)) or _has_fields(work):
        redact_names_in(redactor, plan, work)
    if may_hold_connection(whole) or (redactor.detect_secrets and may_hold_token(whole)):
        redact_shapes_in(redactor, plan, work)
    if work.secrets:
        if before != work.count:
            jsons, texts = _join_payload(plan, work)
            whole = SEPARATOR.join(texts)
        if _has_echoes(list_needles(redactor.key, work.secrets), jsons, whole):
            redact_echoes_in(redactor, plan, work)


def _join_payload(plan: Plan, work: Work) -> tuple[str, list[str]]:
    """All JSON of a record as one text, and all its texts, that one the last of them."""
    row = work.row
    jsons = [text for text in plan.pick_jsons(row) if text]
    texts = [text for text in plan.pick_texts(row) if text]
    for place in plan.lists:
        if row[place]:
            texts += filter(None, row[place])
    if plan.deep and work.children:
        for place in plan.deep:
            child = plan.children[place]
            for child_row in work.children[place]:
                jsons += filter(None, child.pick_jsons(child_row))
                texts += filter(None, child.pick_texts(child_row))
                for items in child.lists:
                    texts += filter(None, child_row[items] or ())
    if work.extra is not None:
        jsons.append(work.extra)
    joined = SEPARATOR.join(jsons)
    texts.append(joined)
    return joined, texts


def _has_names(documents: list[str]) -> bool:
    """Whether documents in text columns have names that mean a secret."""
    return any([looks_like_json(text) or looks_like_literal(text) for text in documents])


def _has_fields(work: Work) -> bool:
    """Whether unknown fields have such names."""
    return work.extra is not None and may_name_field(work.extra)


def _has_echoes(needles: Needles, jsons: str, whole: str) -> bool:
    """Whether the secrets may be elsewhere in the record; where JSON escapes them, perhaps."""
    if has_echo(needles, whole):
        return True
    return "\\" in jsons and (needles.is_escaped or "\\u00" in jsons)
