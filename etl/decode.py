"""JSON bytes to typed records, losing nothing.

The fast path decodes a page in one go into structs that refuse unknown fields. A page that does
not fit goes record by record: unknown fields are set aside as JSON text, and a record that still
cannot be understood is kept as it came with the path of the fault.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from etl.records import Broken

T = TypeVar("T")

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What a BIGINT column can hold: a larger number breaks its record, not the batch."""

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment: a time that does not say its offset is none."""

NESTING_MAX = 100
"""Deeper JSON is kept as a string: decoders give up at about a thousand."""

_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[\da-fA-F]{4}|.)", re.DOTALL
)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][\da-fA-F]{2}")
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_ABSENT = msgspec.Raw()
_NO_VALUE = (b"", b"null")


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """Records of one page: `extras` by index of the record as JSON text, `broken` set aside."""

    records: Sequence[T]
    extras: dict[int, bytes]
    broken: Sequence[Broken]


def decode_records(raws: Sequence[msgspec.Raw], record_type: type[T]) -> Decoded[T]:
    """Decode each record by itself: the slow path of a page that is not as documented."""
    decoder = msgspec.json.Decoder(record_type)
    records: list[T] = []
    extras: dict[int, bytes] = {}
    broken: list[Broken] = []
    for raw in raws:
        try:
            known, extra = split_unknown(raw, record_type)
            record = decoder.decode(known)
        except msgspec.DecodeError as error:
            reason, path = explain_fault(error)
            broken.append(Broken(bytes(raw), path, reason))
            continue
        if extra:
            extras[len(records)] = msgspec.json.encode(extra)
        records.append(record)
    return Decoded(records, extras, broken)


def split_unknown(raw: msgspec.Raw, struct_type: Any) -> tuple[bytes, dict[str, msgspec.Raw]]:
    """One JSON object without the fields its struct does not have, and those fields by path.

    Every value keeps its own JSON text: numbers and key order are not touched.
    """
    extra: dict[str, msgspec.Raw] = {}
    return bytes(_prune(raw, struct_type, "", extra)), extra


def _prune(raw: msgspec.Raw, kind: Any, path: str, extra: dict[str, msgspec.Raw]) -> msgspec.Raw:
    struct_type, is_list = _find_struct(kind, raw)
    if struct_type is None:
        return raw
    if is_list:
        items = msgspec.json.decode(raw, type=list[msgspec.Raw])
        pruned = [_prune(item, struct_type, f"{path}[{i}]", extra) for i, item in enumerate(items)]
        return msgspec.Raw(msgspec.json.encode(pruned))
    fields = {f.encode_name: f.name for f in msgspec.structs.fields(struct_type)}
    hints = get_type_hints(struct_type)
    known = {}
    for name, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
        here = f"{path}.{name}" if path else name
        if name in fields:
            known[name] = _prune(value, hints[fields[name]], here, extra)
        else:
            extra[here] = value
    return msgspec.Raw(msgspec.json.encode(known))


def _find_struct(kind: Any, raw: msgspec.Raw) -> tuple[Any, bool]:
    """The struct a JSON value of the annotated type `kind` is made of, and whether in a list."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    first = bytes(raw).lstrip()[:1]
    for option in options:
        if first == b"[" and get_origin(option) is list and _is_struct(get_args(option)[0]):
            return get_args(option)[0], True
        if first == b"{" and _is_struct(option):
            return option, False
    return None, False


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def explain_fault(error: msgspec.DecodeError) -> tuple[str, str]:
    """The reason and the JSON path of a decoding error; the path is `$` where none is known."""
    found = re.fullmatch(r"(.*?) - at `(\$[^`]*)`", str(error))
    return (found[1], found[2]) if found else (str(error), "$")


def read_json(raw: msgspec.Raw) -> str | None:
    """A JSON value as its own text; None when it is absent or null."""
    text = bytes(raw)
    return None if text in _NO_VALUE else text.decode("utf-8", "replace")


def absent() -> msgspec.Raw:
    """The default of a field that holds any JSON value and was not sent."""
    return _ABSENT


def mend_text(body: bytes) -> bytes:
    """JSON whose strings are Unicode.

    Bytes that are not UTF-8 and halves of surrogate pairs become U+FFFD: a program may have
    written them as its output, and decoders refuse all that stands beside them.
    """
    text = body.decode("utf-8", "replace").encode()
    return _ESCAPES.sub(
        lambda found: rb"\ufffd" if _LONE_SURROGATE.fullmatch(found[0]) else found[0], text
    )


def mend_nesting(body: bytes) -> bytes:
    """JSON in which whatever lies deeper than NESTING_MAX stands as a string of its JSON text."""
    parts = []
    depth = start = end = 0
    for token in _BRACKETS.finditer(body):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == NESTING_MAX:
                start = token.start()
        elif token[0] in (b"]", b"}"):
            if depth == NESTING_MAX:
                deep = body[start : token.end()].decode("utf-8", "replace")
                parts += [body[end:start], msgspec.json.encode(deep)]
                end = token.end()
            depth -= 1
    return b"".join((*parts, body[end:]))
