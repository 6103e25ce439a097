"""JSON text, looked through and changed in place.

The text is read token by token and only the values that have to go are cut out: numbers, key
order, blanks and keys that stand twice stay as they came, and nesting costs no recursion. What is
not quite JSON (several documents, one that was cut off) is looked through as far as it goes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from etl.redact.fingerprint import make_fingerprint
from etl.redact.names import (
    Secrecy,
    classify_name,
    has_escaped_key,
    has_secret_label,
    iterate_keys,
    names_secret,
)

EMBEDDED_DEPTH_MAX = 4
"""How often JSON may stand inside a string of JSON."""

_TOKEN = re.compile(
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))(?P<colon>\s*:)?'
    r"|(?P<open>[{\[])|(?P<close>[}\]])|(?P<bare>[^\s\"{}\[\]:,]+)",
    re.DOTALL,
)
DOCUMENT_STARTS = frozenset("{[( \t\r\n")
_SCALAR = r"(?:true|false|null|-?\d[\d.eE+-]*+)\s*,"
begins_document = re.compile(rf"\s*[{{\[(]\s*(?:[\"'{{\[(]|{_SCALAR})").match
"""How JSON and what Python prints of a dictionary begin, and lines of a log do not."""

_begins_json = re.compile(rf"\s*(?:\{{\s*\"|\[\s*(?:[\[{{\"]|{_SCALAR}))").match
_NUMBER = re.compile(r"-?\d[\d.eE+-]*|NaN|-?Infinity")
_LABEL_KEYS = frozenset({"name", "key", "header", "field", "variable"})
_VALUE_KEYS = frozenset({"value", "val", "values"})

Classify = Callable[[str], Secrecy]


class Edit(NamedTuple):
    """One piece of a text and what stands there instead."""

    start: int
    end: int
    replacement: str


class Leaf(NamedTuple):
    """A string, number or key of JSON text; `secrecy` of the keys above it."""

    start: int
    end: int
    secrecy: Secrecy
    is_string: bool
    is_key: bool


@dataclass(slots=True)
class Edited:
    """Text without its secrets, how many values were replaced, and which secrets they were."""

    text: str
    count: int = 0
    secrets: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Container:
    """An object or array being read; `here` is the secrecy of the value that comes next."""

    inside: Secrecy
    here: Secrecy
    key: str = ""
    is_labelled: bool = False
    values: list[int] = field(default_factory=list)


def list_leaves(
    text: str,
    classify: Classify = classify_name,
    root: Secrecy = Secrecy.PLAIN,
    start: int = 0,
    is_one: bool = False,
) -> list[Leaf]:
    """The leaves of JSON text, each with what the keys above it say.

    `is_one`: only those of the one value that begins at `start`.
    """
    leaves: list[Leaf] = []
    container = _Container(root, root)
    above: list[_Container] = []
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup
        if kind == "colon":
            begin, end = match.span("text")
            leaves.append(Leaf(begin, end, Secrecy.PLAIN, True, True))
            _enter_key(container, read_string(text[begin:end]), classify)
            continue
        if kind == "open":
            above.append(container)
            container = _Container(container.here, container.here)
        elif kind == "close":
            _label_values(container, leaves)
            container = above.pop() if above else _Container(root, root)
        else:
            _add_leaf(container, leaves, text, match)
        if is_one and not above:
            break
    return leaves


def find_secret_leaves(text: str) -> list[Leaf] | None:
    """The leaves below the key names that mean a secret, without reading the rest.

    None where all has to be read: a name or what it is in is written with escapes, or names its
    sibling.
    """
    if "\\u00" in text or has_escaped_key(text) or has_secret_label(text):
        return None
    leaves: list[Leaf] = []
    end = 0
    for match in iterate_keys(text):
        secrecy = classify_name(match[1])
        if secrecy is Secrecy.PLAIN:
            continue
        begin, stop = match.span()
        if text[stop] == "\\" or (begin and text[begin - 1] == "\\"):
            return None
        if stop > end:
            leaves += list_leaves(text, classify_name, secrecy, stop + 1, is_one=True)
            end = leaves[-1].end if leaves else stop
    return leaves


def _enter_key(container: _Container, name: str, classify: Classify) -> None:
    container.key = name.lower()
    is_labelled_value = container.is_labelled and container.key in _VALUE_KEYS
    own = Secrecy.SECRET if is_labelled_value else classify(name)
    if own is Secrecy.LABEL and container.inside is Secrecy.TYPED:
        container.here = Secrecy.PLAIN
    else:
        own = classify_name(name) if own is Secrecy.LABEL else own
        container.here = _combine(container.inside, own)


def _combine(inside: Secrecy, own: Secrecy) -> Secrecy:
    """The secrecy of a value by that of its container and that of its own key."""
    if Secrecy.SECRET in (inside, own):
        return Secrecy.SECRET
    return inside if own is Secrecy.PLAIN or inside is Secrecy.TYPED else own


def _add_leaf(container: _Container, leaves: list[Leaf], text: str, match: "re.Match[str]") -> None:
    """Remember a string or number; `{"name": "Authorization", "value": …}` labels its sibling."""
    start, end = match.span()
    is_string = match.lastgroup == "text"
    if container.key in _VALUE_KEYS:
        container.values.append(len(leaves))
    elif is_string and container.key in _LABEL_KEYS:
        is_secret = classify_name(read_string(text[start:end])) is Secrecy.SECRET
        container.is_labelled = container.is_labelled or is_secret
    leaves.append(Leaf(start, end, container.here, is_string, False))


def _label_values(container: _Container, leaves: list[Leaf]) -> None:
    if container.is_labelled:
        for place in container.values:
            leaves[place] = leaves[place]._replace(secrecy=Secrecy.SECRET)


def redact_names(
    key: bytes,
    text: str,
    classify: Classify = classify_name,
    depth: int = 0,
) -> Edited:
    """JSON text in which what stands below a secret key name is replaced by its fingerprint.

    Every string and number there is replaced; true, false, null and empty strings tell nothing.
    JSON inside a string is looked through, too.
    """
    edits: list[Edit] = []
    edited = Edited(text)
    leaves = find_secret_leaves(text) if classify is classify_name else None
    if leaves is None:
        leaves = list_leaves(text, classify)
    for leaf in leaves:
        token = text[leaf.start : leaf.end]
        if not _is_secret(leaf, token):
            inner = _redact_embedded(key, token, classify, depth) if leaf.is_string else None
            if inner is not None and inner.count:
                edits.append(Edit(leaf.start, leaf.end, write_string(inner.text)))
                edited.count += inner.count
                edited.secrets += inner.secrets
            continue
        secret = read_string(token) if leaf.is_string else token
        edits.append(Edit(leaf.start, leaf.end, f'"{make_fingerprint(key, secret)}"'))
        edited.count += 1
        edited.secrets.append(secret)
    edited.text = apply_edits(text, edits)
    return edited


def _is_secret(leaf: Leaf, token: str) -> bool:
    if leaf.secrecy is Secrecy.PLAIN or leaf.is_key:
        return False
    if leaf.is_string:
        return token != '""'
    return leaf.secrecy is not Secrecy.UNLESS_NUMBER and _NUMBER.fullmatch(token) is not None


def _redact_embedded(key: bytes, token: str, classify: Classify, depth: int) -> Edited | None:
    """The same for JSON that stands inside a string; None where there is none."""
    if token[1:2] not in ("{", "[") and not token[1:2].isspace():
        return None
    inner = read_string(token)
    if depth >= EMBEDDED_DEPTH_MAX or not looks_like_json(inner):
        return None
    return redact_names(key, inner, classify, depth + 1)


def looks_like_json(text: str) -> bool:
    """Whether a text may be JSON (documents, or a part of one) with a name that means a secret."""
    return _begins_json(text) is not None and names_secret(text)


def edit_leaves(text: str, mask: Callable[[str], str]) -> str:
    """JSON text with `mask` applied to each string, key and number; a masked number is a string."""
    edits = []
    for leaf in list_leaves(text, _is_plain):
        token = text[leaf.start : leaf.end]
        value = read_string(token) if leaf.is_string else token
        masked = mask(value)
        if masked != value:
            edits.append(Edit(leaf.start, leaf.end, write_string(masked)))
    return apply_edits(text, edits)


def _is_plain(name: str) -> Secrecy:
    return Secrecy.PLAIN


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with its pieces replaced; the edits are in order and do not overlap."""
    pieces: list[str] = []
    place = 0
    for start, end, replacement in edits:
        pieces += (text[place:start], replacement)
        place = end
    return "".join((*pieces, text[place:])) if pieces else text


def read_string(token: str) -> str:
    """What a JSON string token means; one that is malformed stands for its own characters."""
    closed = token if token.endswith('"') and len(token) > 1 else token + '"'
    if "\\" not in token:
        return closed[1:-1]
    try:
        return msgspec.json.decode(closed.encode("utf-8", "surrogatepass"), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _read_leniently(closed)


def _read_leniently(token: str) -> str:
    import json

    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]


def write_string(text: str) -> str:
    """A text as a JSON string token; half a surrogate pair becomes U+FFFD."""
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return msgspec.json.encode(whole).decode()
