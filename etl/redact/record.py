"""One record, looked through with care."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import msgspec

from etl.redact.echoes import (
    Needles,
    Sought,
    has_echo,
    is_plain_name,
    list_needles,
    mask_echoes,
    seek_secret,
)
from etl.redact.edits import Edited
from etl.redact.fingerprint import describe_text, make_fingerprint
from etl.redact.names import classify_field, may_name_secret
from etl.redact.payload import begins_document, edit_leaves, redact_document, redact_names
from etl.redact.plan import SEPARATOR, Plan, Redactor
from etl.redact.shapes import may_hold_shape, replace_connection_passwords, replace_shapes
from etl.redact.typed import Row, examine_secret

Kind = Literal["json", "text", "reason", "extra"]
Edit = Callable[[str, Kind], str]


class Work(msgspec.Struct, gc=False):
    """A record on its way: its rows, its unknown fields, the secrets found and replaced so far."""

    row: Row
    children: tuple[list[Row], ...]
    extra: str | None = None
    secrets: list[Sought] = []
    count: int = 0


def join_payload(plan: Plan, work: Work) -> str:
    """All texts and JSON of a record as one text, to be searched."""
    texts = list_payload(plan, work.row)
    if plan.deep and work.children:
        for place in plan.deep:
            for row in work.children[place]:
                texts += list_payload(plan.children[place], row)
    if work.extra is not None:
        texts.append(work.extra)
    return SEPARATOR.join(texts)


def list_payload(plan: Plan, row: Row) -> list[str]:
    """The texts and JSON of a row that are not empty."""
    texts = list(filter(None, plan.pick_payload(row)))
    for place in plan.lists:
        if row[place]:
            texts += filter(None, row[place])
    return texts


def redact_typed(key: bytes, plan: Plan, work: Work) -> None:
    """Fingerprint the secret columns of all rows and drop the contents of files."""
    if plan.secrets or plan.addresses or plan.dropped:
        [work.row] = _redact_rows(key, plan, [work.row], work)
    if work.children:
        children = list(work.children)
        for place in plan.unsafe:
            if rows := children[place]:
                children[place] = _redact_rows(key, plan.children[place], rows, work)
        work.children = tuple(children)


def _redact_rows(key: bytes, plan: Plan, rows: list[Row], work: Work) -> list[Row]:
    for place in plan.dropped:
        rows = [(*row[:place], None, *row[place + 1 :]) for row in rows]
    if not plan.secrets and not plan.addresses:
        return rows
    safe: list[Row] = []
    for row in rows:
        values: list[Any] | None = None
        for place in plan.addresses:
            if (address := row[place]) and "@" in address:
                values = values or list(row)
                values[place] = _redact_address(key, work, address)
        for place, label in plan.secrets:
            if secret := row[place]:
                values = values or list(row)
                values[place], inner, is_word = examine_secret(key, secret)
                if not (is_word and label is not None and is_plain_name(row[label] or "")):
                    work.secrets += inner
                work.count += 1
        safe.append(row if values is None else tuple(values))
    return safe


def _redact_address(key: bytes, work: Work, address: str) -> str:
    return replace_connection_passwords(address, partial(_mark, key, work))


def _mark(key: bytes, work: Work, secret: str) -> str:
    """What takes the place of a secret, which is looked for elsewhere, too."""
    work.secrets.append(seek_secret(secret))
    work.count += 1
    return make_fingerprint(key, secret)


def redact_names_in(redactor: Redactor, plan: Plan, work: Work) -> None:
    """What stands below a key name that means a secret."""
    map_payload(plan, work, partial(_redact_names, redactor.key, work))


def redact_json_in(redactor: Redactor, work: Work, place: int) -> None:
    """The same in one JSON column of the row only."""
    edited = redact_names(redactor.key, work.row[place])
    work.row = (*work.row[:place], edited.text, *work.row[place + 1 :])
    work.count += edited.count
    work.secrets += map(seek_secret, edited.secrets)


def redact_shapes_in(redactor: Redactor, plan: Plan, work: Work) -> None:
    """Passwords of connection strings, private keys and, where asked for, tokens of issuers."""
    map_payload(plan, work, partial(_redact_shapes, redactor, work))


def redact_echoes_in(redactor: Redactor, plan: Plan, work: Work) -> None:
    """The record's own secrets, wherever they come back."""
    needles = list_needles(redactor.key, tuple([each.secret for each in work.secrets]))
    map_payload(plan, work, partial(_redact_echoes, needles, work))


def describe_payload_in(redactor: Redactor, plan: Plan, work: Work) -> None:
    """Size and keyed hash in place of each text; what is kept in any case, without passwords."""
    map_payload(plan, work, partial(_describe, redactor, work))


def map_payload(plan: Plan, work: Work, edit: Edit) -> None:
    """Edit each text and JSON of a record."""
    work.row = _map_row(plan, work.row, edit)
    if work.children:
        children = list(work.children)
        for place in plan.deep:
            children[place] = [_map_row(plan.children[place], r, edit) for r in children[place]]
        work.children = tuple(children)
    if work.extra is not None:
        work.extra = edit(work.extra, "extra")


def _map_row(plan: Plan, row: Row, edit: Edit) -> Row:
    values = list(row)
    for place in plan.texts:
        if values[place]:
            values[place] = edit(values[place], "reason" if place in plan.reasons else "text")
    for place in plan.lists:
        if values[place]:
            values[place] = [text and edit(text, "text") for text in values[place]]
    for place in plan.jsons:
        if values[place]:
            values[place] = edit(values[place], "json")
    return tuple(values)


def _redact_names(key: bytes, work: Work, text: str, kind: Kind) -> str:
    if kind == "extra":
        return _keep(work, redact_names(key, text, classify_field))
    if kind == "json":
        return _keep(work, redact_names(key, text)) if may_name_secret(text) else text
    if begins_document(text) is None:
        return text
    return _keep(work, redact_document(key, text))


def _keep(work: Work, edited: Edited) -> str:
    work.count += edited.count
    work.secrets += [seek_secret(secret) for secret in edited.secrets]
    return edited.text


def _redact_shapes(redactor: Redactor, work: Work, text: str, kind: Kind) -> str:
    """Passwords of connection strings, private keys and, where asked for, tokens of issuers."""
    if not may_hold_shape(text, redactor.detect_secrets):
        return text

    def mask(part: str) -> str:
        return replace_shapes(part, partial(_mark, redactor.key, work), redactor.detect_secrets)

    return edit_leaves(text, mask) if kind in ("json", "extra") else mask(text)


def _redact_echoes(needles: Needles, work: Work, text: str, kind: Kind) -> str:
    """The record's own secrets, wherever they come back."""

    def mask(part: str) -> str:
        safe, count = mask_echoes(needles, part)
        work.count += count
        return safe

    if kind in ("text", "reason"):
        return mask(text) if has_echo(needles.secrets, text) else text
    if "\\" in text:
        is_found = needles.is_escaped or "\\u00" in text or has_echo(needles.secrets, text)
        return edit_leaves(text, mask) if is_found else text
    if not has_echo(needles.secrets, text):
        return text
    return mask(text) if needles.is_simple else edit_leaves(text, mask)


def _describe(redactor: Redactor, work: Work, text: str, kind: Kind) -> str:
    """Size and keyed hash in place of a text; of unknown fields, one for each."""
    key = redactor.key
    if kind == "reason":
        return _redact_shapes(redactor, work, text, kind)
    if kind != "extra":
        return describe_text(key, text)
    try:
        fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return describe_text(key, text)
    described = [
        f"{msgspec.json.encode(path).decode()}:{describe_text(key, bytes(raw).decode())}"
        for path, raw in fields.items()
    ]
    return "{" + ",".join(described) + "}"
