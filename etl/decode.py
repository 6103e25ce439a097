"""JSON bytes to typed records, losing nothing.

The fast path decodes a page in one go into structs that refuse unknown fields. A page that does
not fit goes record by record: unknown fields are set aside as JSON text, and a record that still
cannot be understood is kept as it came with the path of the fault.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
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
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: not as documented, not JSON, not Unicode, nested too deeply."""

_STRUCTURE = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?|[{}\[\],]', re.DOTALL)
_ABSENT = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """Records of one page: `extras` by index of the record as JSON text, `broken` set aside."""

    records: Sequence[T]
    extras: dict[int, bytes]
    broken: Sequence[Broken]


def decode_records(raws: Sequence[msgspec.Raw], record_type: type[T]) -> Decoded[T]:
    """Decode each record by itself: the slow path of a page that is not as documented.

    A record whose strings are no Unicode, or that is nested too deeply, is mended first.
    """
    decoder = msgspec.json.Decoder(record_type)
    records: list[T] = []
    extras: dict[int, bytes] = {}
    broken: list[Broken] = []
    for raw in raws:
        try:
            record, extra = _decode_mended(raw, decoder)
        except UNREADABLE as error:
            reason, path = explain_fault(error)
            broken.append(Broken(bytes(raw), path, reason))
            continue
        if extra:
            extras[len(records)] = extra
        records.append(record)
    return Decoded(records, extras, broken)


def _decode_mended(raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> tuple[T, bytes]:
    try:
        return _decode_record(raw, decoder)
    except msgspec.ValidationError:
        raise
    except UNREADABLE:
        mended = mend_nesting(mend_text(bytes(raw)))
        return _decode_record(msgspec.Raw(mended), decoder)


def _decode_record(raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> tuple[T, bytes]:
    """One record, and its unknown fields as a JSON object by path, empty where there are none."""
    try:
        return decoder.decode(raw), b""
    except msgspec.ValidationError:
        known, unknown = split_unknown(raw, decoder.type)
        extra = msgspec.json.encode(unknown) if unknown else b""
        extra.decode()  # UnicodeDecodeError: its text has to be mended, too.
        return decoder.decode(known), extra


def set_list_aside(body: bytes, *names: str) -> tuple[bytes, list[msgspec.Raw]]:
    """An envelope with the list at the path `names` empty, and the list's records.

    The records need not be JSON: one that is not must not take its page with it. Raises
    msgspec.DecodeError if there is no such list, or no end of it: the body may have been cut short.
    """
    begin = _find_list(body, [name.encode() for name in names])
    depth, start, spans = 0, begin, []
    for match in _STRUCTURE.finditer(body, begin):
        mark = match[0]
        if depth == 0 and mark in (b",", b"]"):
            spans.append((start, match.start()))
            start = match.end()
            if mark == b"]":
                records = [body[a:b].strip() for a, b in spans]
                is_empty = records == [b""]
                raws = [] if is_empty else [msgspec.Raw(record) for record in records]
                return body[:begin] + body[match.start() :], raws
        depth += (mark in (b"{", b"[")) - (mark in (b"}", b"]"))
    raise msgspec.DecodeError("Input data was truncated")


def _find_list(body: bytes, names: Sequence[bytes]) -> int:
    """Where the list at a path of an envelope begins: behind its bracket."""
    keys: list[bytes] = [b""]
    for match in _STRUCTURE.finditer(body):
        mark = match[0]
        if match[2] is not None:
            keys[-1] = match[1]
        elif mark == b"[" and keys[1:] == names:
            return match.end()
        elif mark in (b"{", b"["):
            keys.append(b"")
        elif mark in (b"}", b"]") and len(keys) > 1:
            keys.pop()
    raise msgspec.DecodeError("JSON is malformed: no list of records")


def convert_to_utc(time: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError where UTC has no date for it."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time beyond the calendar") from None


def check_time(name: str, time: datetime | None) -> None:
    """Raise ValueError, which a decoder reports with the field, where UTC has no date for a time.

    Only at the ends of the calendar is there anything to check.
    """
    if time is None or time.year not in (datetime.min.year, datetime.max.year):
        return
    try:
        convert_to_utc(time)
    except ValueError as error:
        raise ValueError(f"{error} - at `$.{name}`") from None


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
    kinds = _describe_fields(struct_type)
    known = {}
    for name, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
        here = f"{path}.{name}" if path else name
        if name in kinds:
            known[name] = _prune(value, kinds[name], here, extra)
        else:
            extra[here] = value
    return msgspec.Raw(msgspec.json.encode(known))


@lru_cache
def _describe_fields(struct_type: Any) -> dict[str, Any]:
    """The type of each field of a struct, by its name in JSON."""
    hints = get_type_hints(struct_type)
    return {f.encode_name: hints[f.name] for f in msgspec.structs.fields(struct_type)}


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


def explain_fault(error: Exception) -> tuple[str, str]:
    """The reason and the JSON path of a decoding error; the path is `$` where none is known."""
    if isinstance(error, RecursionError):
        return "nested too deeply", "$"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8", "$"
    found = re.fullmatch(r"(.*?) - at `(\$[^`]*)`", str(error), re.DOTALL)
    return (found[1], found[2]) if found else (str(error), "$")


def read_json(raw: msgspec.Raw) -> str | None:
    """A JSON value as its own text; None when it is absent or null.

    Bytes that are no UTF-8 become U+FFFD: the rest of the value is worth more than nothing.
    """
    if raw is _ABSENT:
        return None
    text = str(raw, "utf-8", "replace")
    return None if text == "null" else text


def read_leniently(body: bytes) -> Any:
    """What Python makes of almost JSON (NaN, control characters, …); None where it gives up."""
    try:
        return json.loads(mend_text(body), strict=False)
    except (ValueError, RecursionError):
        return None


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
